package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/jetstream"
	"github.com/currentsbridge/currentsbridge/bridge/queue/migrate"
	"github.com/currentsbridge/currentsbridge/bridge/queue/pebble"
	"github.com/currentsbridge/currentsbridge/internal/natstest"
)

// directory makes a data directory with records of 50 pending events, and then
// dead letters, all of one connector. size is that of an event, about.
func directory(t *testing.T, records, letters, size int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	store, err := pebble.Open(dir, pebble.Options{RetainAge: time.Hour})
	require.NoError(t, err)
	q, err := store.Open(t.Context(), "default", queue.DefaultWindow)
	require.NoError(t, err)
	add := func(n int, fate queue.Fate, name string) {
		b := queue.Batch{ReceivedAt: time.Now().Add(-time.Hour)}
		for i := range n {
			id := fmt.Sprintf("%s-%d", name, i)
			item := queue.Item{Start: len(b.Body), ID: queue.HashID([]byte(id)), Fate: fate, Reason: "no_identity"}
			b.Body = fmt.Appendf(b.Body, `{"id":%q,"event_type":"t","pad":"%s"}`, id, strings.Repeat("x", size))
			item.End = len(b.Body)
			b.Items = append(b.Items, item)
		}
		_, err := q.Append(t.Context(), b)
		require.NoError(t, err)
	}
	for r := range records {
		add(50, queue.Pending, fmt.Sprint("event-", r))
	}
	for l := 0; l < letters; l += 50 {
		add(50, queue.Dead, fmt.Sprint("letter-", l))
	}
	require.NoError(t, store.Close())
	return dir
}

// messages is how many messages the connector's stream has.
func messages(t *testing.T, url string) uint64 {
	t.Helper()
	conn, err := nats.Connect(url)
	require.NoError(t, err)
	defer conn.Close()
	js, err := natsjs.New(conn)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), "currents_default")
	if err != nil {
		return 0
	}
	return stream.CachedInfo().State.Msgs
}

// idOf is what stands between the first quotes behind "id":.
func idOf(raw []byte) string {
	_, rest, _ := bytes.Cut(raw, []byte(`"id":"`))
	id, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(id)
}

// arrived counts by id what waits in the queue, and the letters in it.
func arrived(t *testing.T, store queue.Store) (events, letters map[string]int) {
	t.Helper()
	q, err := store.Open(t.Context(), "default", queue.DefaultWindow)
	require.NoError(t, err)
	events, letters = map[string]int{}, map[string]int{}
	for n := int(q.Ledger().Pending()); n > 0; {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		records, err := q.Fetch(ctx, queue.Limit{Events: 5000, Bytes: 8 << 20})
		cancel()
		require.NoError(t, err)
		var done queue.Settlement
		for _, r := range records {
			n -= len(r.Events)
			for _, e := range r.Events {
				events[idOf(e.Raw)]++
				done.Delivered = append(done.Delivered, queue.Span{Seq: r.Seq, First: e.Index, Last: e.Index})
			}
		}
		require.NoError(t, q.Settle(t.Context(), done))
		q.Release(records...)
	}
	for after := uint64(0); ; {
		page, err := q.Dead(t.Context(), after, 1000)
		require.NoError(t, err)
		if len(page) == 0 {
			return events, letters
		}
		for _, letter := range page {
			require.Equal(t, "no_identity", letter.Reason)
			letters[idOf(letter.Event)]++
		}
		after = page[len(page)-1].Number
	}
}

// The real process is killed again and again on its way; nothing is lost, and
// what was in both places is known by its id.
func TestMigrateIsKilledAndGoesOn(t *testing.T) {
	server := natstest.Start(t)
	const records, letters = 300, 500
	dir := directory(t, records, letters, 200)
	kills := 0
	for at := uint64(40); kills < 4; at += 70 {
		cmd := command(t, nil, "migrate", "--from", dir, "--to", server.URL())
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		require.NoError(t, cmd.Start())
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for running := true; running; {
			select {
			case err := <-ended:
				t.Fatalf("it ended before it was killed: %v\n%s", err, stderr.String())
			default:
			}
			if messages(t, server.URL()) >= at {
				require.NoError(t, cmd.Process.Kill())
				<-ended
				kills, running = kills+1, false
			}
		}
	}
	code, stdout, stderr := runBridge(t, nil, "migrate", "--from", dir, "--to", server.URL(), "--json")
	require.Zero(t, code, stderr)
	var report migrate.Report
	require.NoError(t, json.Unmarshal([]byte(stdout), &report))
	require.Len(t, report.Connectors, 1)
	require.Positive(t, report.Connectors[0].Pending+report.Connectors[0].Dead, "the last kill was in the middle")
	t.Logf("after %d kills: %d moved by the last run, %d of them known", kills, report.Connectors[0].Pending+report.Connectors[0].Dead, report.Connectors[0].Repeats)

	from, err := pebble.Open(dir, pebble.Options{RetainAge: time.Hour})
	require.NoError(t, err)
	defer from.Close()
	left, err := migrate.Waiting(t.Context(), from, migrate.Options{})
	require.NoError(t, err)
	require.Zero(t, left)
	to, err := jetstream.Open(t.Context(), jetstream.Options{URL: server.URL()})
	require.NoError(t, err)
	defer to.Close()
	events, dead := arrived(t, to)
	require.Len(t, events, 50*records)
	require.Len(t, dead, letters)
	for _, counts := range []map[string]int{events, dead} {
		for id, n := range counts {
			require.Equal(t, 1, n, id)
		}
	}
}

func TestMigrateSaysWhatItDid(t *testing.T) {
	small := natstest.Start(t, func(o *server.Options) { o.MaxPayload = 64 << 10 })
	dir := directory(t, 2, 50, 10)
	store, err := pebble.Open(dir, pebble.Options{RetainAge: time.Hour})
	require.NoError(t, err)
	q, err := store.Open(t.Context(), "default", queue.DefaultWindow)
	require.NoError(t, err)
	body := fmt.Appendf(nil, `{"event_type":"t","pad":%q}`, noise(256<<10))
	_, err = q.Append(t.Context(), queue.Batch{Body: body, Items: []queue.Item{{End: len(body)}}})
	require.NoError(t, err)
	require.NoError(t, store.Close())

	file := filepath.Join(t.TempDir(), "bridge.yaml")
	require.NoError(t, os.WriteFile(file, []byte("queue: {store: \""+small.URL()+"\", prefix: brand}\n"), 0o600))
	code, stdout, stderr := runBridge(t, nil, "migrate", "--from", dir, "--config", file)
	require.Equal(t, 3, code, stderr)
	require.Contains(t, stdout, "connector default: moved 100 pending events and 50 dead letters, 0 of them known there already\n")
	require.Contains(t, stdout, "in the directory now: pending 1, dead 0; on NATS: received 150, pending 100, dead 50\n")
	require.Contains(t, stdout, "1 stay, because they are larger than NATS takes: raise max_payload")

	// With room for it, the rest follows, and a bridge on NATS delivers it all.
	large := natstest.Start(t)
	code, stdout, stderr = runBridge(t, []string{"BRIDGE_QUEUE=" + large.URL()}, "migrate", "--from", dir)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "moved 1 pending events and 0 dead letters")
	require.Contains(t, stdout, "1 have no id by which a repeat would be known")
	require.Contains(t, stdout, "all is moved")
	code, stdout, stderr = runBridge(t, nil, "migrate", "--from", dir, "--to", large.URL())
	require.Zero(t, code, stderr)
	require.Equal(t, "all is moved; start the bridges with the new queue, and keep the directory for as long as its history may be replayed\n", stdout)

	away := "nats://127.0.0.1:1"
	for _, wrong := range []struct {
		args []string
		want string
	}{
		{[]string{"--to", large.URL()}, "--from is missing"},
		{[]string{"--from", "/none", "--to", large.URL()}, "there is no directory /none"},
		{[]string{"--from", dir}, "there is nowhere to move to"},
		{[]string{"--from", dir, "--to", "nats://u:hush@h"}, "must have no user"},
		{[]string{"--from", dir, "--to", away}, "queue " + away},
	} {
		code, _, stderr = runBridge(t, nil, append([]string{"migrate"}, wrong.args...)...)
		require.Equal(t, 1, code)
		require.Contains(t, stderr, wrong.want)
		require.NotContains(t, stderr, "hush")
	}
}

// noise is text that does not get smaller when it is packed.
func noise(n int) string {
	var b strings.Builder
	for x := uint64(1); b.Len() < n; x = x*6364136223846793005 + 1442695040888963407 {
		fmt.Fprintf(&b, "%08x", x>>32)
	}
	return b.String()[:n]
}

func TestServeAndCheckOnNATS(t *testing.T) {
	server := natstest.Start(t)
	flags := []string{"--rudder-url", rudderStack(t).URL, "--write-key", "wk", "--braze-token", "s3cret", "--queue", server.URL()}
	code, stdout, stderr := runBridge(t, nil, append([]string{"check"}, flags...)...)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "warning: queue: the server n1 stands alone")
	require.Contains(t, stdout, "events in "+server.URL())

	s := serve(t, nil, flags...)
	s.post(t, twoEvents)
	code, stdout, stderr = runBridge(t, nil, "status", "--admin", strings.TrimPrefix(s.admin, "http://"))
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "default")

	code, _, stderr = runBridge(t, []string{"BRIDGE_QUEUE=" + server.URL(), "BRIDGE_DATA_DIR=/var/lib/bridge"}, "repair")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "a repair is for the data directory of pebble")

	server.Stop()
	code, stdout, stderr = runBridge(t, nil, append([]string{"check"}, flags...)...)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "warning: queue: could not be asked")
	code, stdout, stderr = runBridge(t, nil, append([]string{"check", "--queue-token", "a", "--queue-user", "b"}, flags...)...)
	require.Equal(t, 1, code, stderr)
	require.Contains(t, stdout, "--queue-token: queue.token: cannot stand beside queue.user")
}
