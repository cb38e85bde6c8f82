package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/harness"
	"github.com/currentsbridge/currentsbridge/internal/bridgeproc"
	"github.com/currentsbridge/currentsbridge/internal/journey/journeytest"
	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
	"github.com/currentsbridge/currentsbridge/internal/storageexport"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

func exported(t *testing.T, e mockbraze.Emission) (dir string) {
	dir = t.TempDir()
	w := storageexport.NewWriter(dir, journeytest.Glossary(t))
	require.NoError(t, mockbraze.Emit(t.Context(), w, e))
	require.NoError(t, w.Close())
	return dir
}

// settingsOf are the settings of a bridge in dir with connectors that deliver to
// sources of the same name.
func settingsOf(dir, rudderURL, more string, connectors ...string) string {
	text := fmt.Sprintf("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ndata_dir: %q\nlog: {level: warn}\nconnectors:\n", filepath.Join(dir, "data"))
	for _, name := range connectors {
		text += fmt.Sprintf("  - {name: %s, token: tok-%s, rudder_url: %q, write_key: %s%s}\n", name, name, rudderURL, name, more)
	}
	return text
}

func settled(t *testing.T, admin, connector string, n int) (l harness.Ledger) {
	require.Eventually(t, func() bool {
		var err error
		l, err = harness.ReadLedger(t.Context(), admin, connector)
		return err == nil && l.Accepted >= int64(n) && l.Pending == 0
	}, 3*time.Minute, 20*time.Millisecond)
	return l
}

func (p program) backfill(ctx context.Context, dir string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.CommandContext(ctx, p.plain, append([]string{"backfill", "--json"}, args...)...)
	var out bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	return cmd, &out
}

func post(t *testing.T, p *bridgeproc.Process, connector, body string) {
	api := jsoncall.API{Base: p.Intake, Token: "tok-" + connector}
	require.NoError(t, api.Do(t.Context(), http.MethodPost, "/currents/"+connector, json.RawMessage(body), nil))
}

func startReady(t *testing.T, dir, settings string) *bridgeproc.Process {
	p := launch(t, build(t).plain, dir, settings, "")
	require.NoError(t, p.AwaitReady(t.Context()))
	return p
}

// messages are what a source received, by messageId, without sentAt and without null,
// which storage exports do not have.
func messages(t *testing.T, rudder *mockrudder.Server, source string) map[string]string {
	out := map[string]string{}
	for _, event := range rudder.Events(mockrudder.Filter{Source: source}) {
		var message map[string]any
		require.NoError(t, json.Unmarshal([]byte(event.Raw), &message))
		delete(message, "sentAt")
		withoutNull(message)
		text, err := json.Marshal(message)
		require.NoError(t, err)
		out[event.MessageID] = string(text)
	}
	return out
}

func withoutNull(v any) {
	object, ok := v.(map[string]any)
	if !ok {
		return
	}
	for key, value := range object {
		if value == nil {
			delete(object, key)
		}
		withoutNull(value)
	}
}

// TestBackfillEqualsStreaming streams events of every type to one connector and
// backfills the same events to two others with the same rules: one while the bridge
// runs, and one before, directly into the store.
func TestBackfillEqualsStreaming(t *testing.T) {
	t.Parallel()
	built := build(t)
	rudder := mockrudder.Start(t, mockrudder.WithSource("streamed", mockrudder.HTTP), mockrudder.WithSource("backfilled", mockrudder.HTTP), mockrudder.WithSource("stored", mockrudder.HTTP))
	const n = 1200
	e := mockbraze.Emission{Events: n, Seed: 8, Retired: true}
	export := exported(t, e)
	dir := t.TempDir()
	rules := `, filter: {deny: ["users.messages.sms.*"]}, pii: {preset: hash}, salt: s, missing_external_user_id: dead`
	settings := settingsOf(dir, rudder.URL, rules, "streamed", "backfilled", "stored")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "bridge.yaml"), []byte(settings), 0o600))
	cmd, out := built.backfill(t.Context(), dir, "--connector", "stored", "--config", "bridge.yaml", export)
	require.NoError(t, cmd.Run(), "%s", out)
	p := startReady(t, dir, settings)
	cmd, out = built.backfill(t.Context(), dir, "--connector", "stored", "--config", "bridge.yaml", "--progress", "other", export)
	require.Error(t, cmd.Run())
	require.Contains(t, out.String(), "leave out --config")

	e.Batches = true
	var bodies bytes.Buffer
	require.NoError(t, mockbraze.Emit(t.Context(), &bodies, e))
	for body := range strings.Lines(bodies.String()) {
		post(t, p, "streamed", body)
	}
	cmd, out = built.backfill(t.Context(), dir, "--admin", p.Admin, "--connector", "backfilled", export)
	require.NoError(t, cmd.Run(), "%s", out)

	want := settled(t, p.Admin, "streamed", n)
	require.NotZero(t, want.Filtered)
	require.NotZero(t, want.Dead)
	streamed := messages(t, rudder, "streamed")
	require.Len(t, streamed, int(want.Delivered))
	for _, connector := range []string{"backfilled", "stored"} {
		got := settled(t, p.Admin, connector, n)
		require.EqualValues(t, n, got.Backfilled)
		got.Name, got.Backfilled = want.Name, 0
		require.Equal(t, want, got)
		require.Equal(t, streamed, messages(t, rudder, connector))
	}
	// What was streamed before is a duplicate.
	cmd, out = built.backfill(t.Context(), dir, "--admin", p.Admin, "--connector", "streamed", export)
	require.NoError(t, cmd.Run(), "%s", out)
	got := settled(t, p.Admin, "streamed", n)
	require.EqualValues(t, n, got.Duplicates)
	require.Zero(t, got.Backfilled)
}

// TestBackfillKills kills the bridge and the command that backfills, three times
// each: all events are accepted once, and the ledger is exact.
func TestBackfillKills(t *testing.T) {
	t.Parallel()
	built := build(t)
	rudder := mockrudder.Start(t, mockrudder.WithSource("a", mockrudder.HTTP))
	const n = 2400
	export := exported(t, mockbraze.Emission{Events: n, Seed: 9})
	dir := t.TempDir()
	settings := settingsOf(dir, rudder.URL, "", "a")
	start := func() *bridgeproc.Process {
		p := startReady(t, dir, settings)
		settings = strings.Replace(settings, "admin: 127.0.0.1:0", "admin: "+strings.TrimPrefix(p.Admin, "http://"), 1)
		return p
	}
	p := start()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begin := func() (*exec.Cmd, *bytes.Buffer) {
		cmd, out := built.backfill(ctx, dir, "--admin", p.Admin, "--connector", "a", "--rate", "800", export)
		require.NoError(t, cmd.Start())
		return cmd, out
	}
	reached := func(share int) {
		require.Eventually(t, func() bool {
			l, err := harness.ReadLedger(ctx, p.Admin, "a")
			return err == nil && l.Accepted >= int64(n*share/8)
		}, time.Minute, time.Millisecond)
	}
	cmd, out := begin()
	for kill := 1; kill <= 6; kill++ {
		reached(kill)
		if kill%2 == 0 {
			p.Kill()
			p = start() // the command waits for it
			continue
		}
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait(), "it was through before it was killed")
		cmd, out = begin()
	}
	require.NoError(t, cmd.Wait(), "%s", out)
	l := settled(t, p.Admin, "a", n)
	require.EqualValues(t, n, l.Accepted)
	require.EqualValues(t, n, l.Backfilled)
	require.Equal(t, l.Received, l.Accepted+l.Duplicates)
	require.LessOrEqual(t, l.Duplicates, int64(6*100), "no more than a batch for each kill")
	require.EqualValues(t, n, l.Delivered+l.Dead)
	require.Len(t, messages(t, rudder, "a"), int(l.Delivered))
	var sum struct {
		Sum struct{ Accepted, Duplicates int }
	}
	require.NoError(t, json.Unmarshal(out.Bytes()[bytes.IndexByte(out.Bytes(), '{'):], &sum), "%s", out)
	require.Equal(t, n, sum.Sum.Accepted+sum.Sum.Duplicates, "each record is counted once")
}

// TestLiveGoesFirst has a backlog out of storage and a slow destination: an event
// that Braze posts is in one of the next requests.
func TestLiveGoesFirst(t *testing.T) {
	t.Parallel()
	built := build(t)
	rudder := mockrudder.Start(t, mockrudder.WithSource("a", mockrudder.HTTP))
	var requests, posted, found atomic.Int64
	turn := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			<-turn
			requests.Add(1)
		}
		rudder.ServeHTTP(w, r)
		if len(rudder.Events(mockrudder.Filter{MessageID: "live"})) > 0 {
			found.CompareAndSwap(0, requests.Load())
		}
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	settings := settingsOf(dir, server.URL, ", concurrency: 2, batch_events: 50, dedupe_window: 8000", "a")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bridge.yaml"), []byte(settings), 0o600))
	cmd, out := built.backfill(t.Context(), dir, "--connector", "a", "--config", "bridge.yaml", exported(t, mockbraze.Emission{Events: 3000, Seed: 3}))
	require.NoError(t, cmd.Run(), "%s", out)
	p := startReady(t, dir, settings)
	for range 5 {
		turn <- struct{}{}
	}
	post(t, p, "a", `{"events":[{"event_type":"users.messages.email.Open","id":"live","time":1700000000,"user":{"user_id":"u","external_user_id":"x"},"properties":{}}]}`)
	posted.Store(requests.Load())
	close(turn)
	require.Eventually(t, func() bool { return found.Load() > 0 }, time.Minute, 5*time.Millisecond)
	require.LessOrEqual(t, found.Load()-posted.Load(), int64(12), "two requests in flight, what was claimed, and little more; the backlog needs 60")
	settled(t, p.Admin, "a", 3001)
}
