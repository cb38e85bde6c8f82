package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// forwarder forwards batches to a mockrudder's webhook as a bridge does, after
// change has changed them, and answers.
func forwarder(t *testing.T, rudder *mockrudder.Server, change func(events []json.RawMessage) []json.RawMessage, answer http.HandlerFunc) string {
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var batch struct {
			Events []json.RawMessage `json:"events"`
		}
		err := json.NewDecoder(r.Body).Decode(&batch)
		if err == nil {
			mu.Lock()
			batch.Events = change(batch.Events)
			mu.Unlock()
			err = jsoncall.Do(r.Context(), http.MethodPost, rudder.WebhookURL("wkBraze"), batch, nil)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/currents"
}

func unchanged(events []json.RawMessage) []json.RawMessage { return events }

func accept(http.ResponseWriter, *http.Request) {}

// requireCounts looks at all counts of a verification that knows what was lost.
func requireCounts(t *testing.T, want Verification, r *Report) {
	got := *r.Verify
	got.FarEnd, got.FromAnswer, got.FromIntended, got.LostIDs = "", Latencies{}, Latencies{}, nil
	require.Equal(t, want, got)
}

func verifying(target string, rudder *mockrudder.Server) Config {
	return Config{
		URL: target, Pace: Max(), Events: 500, Seed: 9, Connections: 4, VerifyTimeout: 50 * time.Millisecond,
		Types: []string{"users.messages.email.*"}, Verify: rudder.URL + "/_mock/",
	}
}

func TestVerifyFindsEveryEvent(t *testing.T) {
	rudder := mockrudder.Start(t)
	target := forwarder(t, rudder, unchanged, accept)
	// What was there before is not of this run.
	other := verifying(target, rudder)
	other.Seed, other.Verify, other.Events = 8, "", 300
	do(t, other)

	cfg := verifying(target, rudder)
	cfg.VerifyTimeout = 20 * time.Second
	r := do(t, cfg)
	requireCounts(t, Verification{Acked: 500, Arrived: 500}, r)
	require.Positive(t, r.Verify.FromIntended.P50)
	require.Equal(t, "lost==0", r.Thresholds[0].Expression, "a threshold of its own")
	require.True(t, r.Passed())

	// The same seed again: the far end gets every id a second time, in another run.
	requireCounts(t, Verification{Acked: 500, Arrived: 500}, do(t, cfg))
}

func TestVerifyCountsLossesAndDuplicates(t *testing.T) {
	rudder := mockrudder.Start(t)
	n, lost := 0, map[string]bool{}
	target := forwarder(t, rudder, func(events []json.RawMessage) (out []json.RawMessage) {
		for _, e := range events {
			switch n++; {
			case n%10 == 0:
				var named struct{ ID string }
				require.NoError(t, json.Unmarshal(e, &named))
				lost[named.ID] = true
				continue
			case n%16 == 1:
				out = append(out, e) // twice
			}
			out = append(out, e)
		}
		return append(out, json.RawMessage(fmt.Sprintf(
			`{"event_type":"users.messages.email.Open","id":"stray-%d","time":1,"user":{"external_user_id":"x"},"properties":{}}`, n)))
	}, accept)
	cfg := verifying(target, rudder)
	cfg.Events = 2000
	cfg.Thresholds = conditions(t, "lost<=10%,lost==0,duplicated==125")
	r := do(t, cfg)
	requireCounts(t, Verification{Acked: 2000, Lost: 200, Arrived: 1800, Duplicated: 125, Foreign: 20}, r)
	require.Len(t, r.Verify.LostIDs, 100, "the first of them")
	var text bytes.Buffer
	require.NoError(t, r.WriteText(&text))
	for _, id := range r.Verify.LostIDs {
		require.True(t, lost[id], id)
		require.Contains(t, text.String(), id)
	}
	require.Equal(t, []bool{true, false, true}, oks(r))
}

// What the answers call dead need not arrive, but not more than that of a batch.
func TestVerifyAllowsForDeadLetters(t *testing.T) {
	rudder := mockrudder.Start(t)
	n := 0
	target := forwarder(t, rudder, func(events []json.RawMessage) []json.RawMessage {
		if n++; n == 1 {
			return events[:90] // ten are missing, and three are dead
		}
		return events[:97]
	}, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"accepted":100,"duplicates":0,"dead":3}`)
	})
	r := do(t, verifying(target, rudder))
	requireCounts(t, Verification{Acked: 500, Dead: 15, Lost: 7, Arrived: 500 - 22}, r)
	require.EqualValues(t, 15, r.Events.Dead)
}

// What arrived of a batch that got no 2XX is neither lost nor acknowledged.
func TestVerifyCountsUnacknowledgedEvents(t *testing.T) {
	rudder := mockrudder.Start(t)
	target := forwarder(t, rudder, unchanged, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	requireCounts(t, Verification{Arrived: 500, Unacknowledged: 500}, do(t, verifying(target, rudder)))
}

// Where the far end cannot tell what arrived, that is said, and nothing is called lost: it
// gives messages up before they are read, is another one meanwhile, or does not answer.
func TestVerifyDoesNotGuess(t *testing.T) {
	badGateway := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	for want, c := range map[string]struct {
		keep    int
		instead http.Handler // the far end once messages have come, where it is another
		timeout time.Duration
	}{
		"--keep":    {20, nil, 20 * time.Second},
		"restarted": {1000, mockrudder.Start(t), 20 * time.Second},
		"502":       {1000, badGateway, 50 * time.Millisecond},
	} {
		rudder := mockrudder.Start(t, mockrudder.WithKeep(c.keep))
		var gone atomic.Bool
		far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c.instead != nil && gone.Load() {
				c.instead.ServeHTTP(w, r)
				return
			}
			gone.Store(rudder.Stats().Total > 0)
			rudder.ServeHTTP(w, r)
		}))
		t.Cleanup(far.Close)
		cfg := verifying(forwarder(t, rudder, func(events []json.RawMessage) []json.RawMessage { return events[1:] }, accept), rudder)
		cfg.Verify, cfg.VerifyTimeout = far.URL+"/_mock", c.timeout
		r := do(t, cfg)
		require.Contains(t, r.Verify.Problem, want)
		require.Len(t, r.Thresholds, 1)
		require.False(t, r.Thresholds[0].OK)
		require.Contains(t, r.Thresholds[0].Actual, "not known")
		require.False(t, r.Passed())
	}
}

func TestVerifyNeedsAMockrudder(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	run, err := New(Config{URL: server.URL, Verify: server.URL + "/_mock?key=sEcReT", Pace: Constant(100), Events: 1})
	require.NoError(t, err)
	_, err = run.Do(t.Context())
	require.ErrorContains(t, err, "404")
	require.NotContains(t, err.Error(), "sEcReT")
}

func pageOf(events int, next string, total uint64) page {
	p := page{Next: next, Total: total}
	p.Events = slices.Grow(p.Events, events)[:events]
	return p
}

func TestOutrun(t *testing.T) {
	f := &follower{first: 100, read: 20}
	require.Empty(t, f.outrun("200", pageOf(10, "210", 125)))
	require.Contains(t, f.outrun("210", pageOf(10, "225", 125)), "gave up 5 messages")
	require.Empty(t, f.outrun("225", pageOf(0, "", 125)), "they may have come just now")
	require.Empty(t, f.outrun("225", pageOf(5, "230", 125)))
	require.Empty(t, f.outrun("230", pageOf(0, "", 125)))
	require.Contains(t, f.outrun("230", pageOf(0, "", 125)), "gave up 5 messages")
	require.Contains(t, f.outrun("230", pageOf(0, "", 124)), "reset")
}

// An interrupted wait ends at once, and what has not arrived by then counts as lost.
func TestTheWaitCanBeInterrupted(t *testing.T) {
	rudder := mockrudder.Start(t)
	target := forwarder(t, rudder, func(events []json.RawMessage) []json.RawMessage { return events[:1] }, accept)
	cfg := verifying(target, rudder)
	cfg.VerifyTimeout = time.Hour
	run := newRun(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan *Report, 1)
	go func() {
		r, _ := run.Do(ctx)
		done <- r
	}()
	require.Eventually(t, func() bool { return strings.Contains(run.Line(), " 495 acknowledged events are still") }, 20*time.Second, 10*time.Millisecond)
	cancel()
	select {
	case r := <-done:
		require.EqualValues(t, 495, r.Verify.Lost)
		require.False(t, r.Passed())
	case <-time.After(10 * time.Second):
		t.Fatal("the wait goes on")
	}
}
