package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
)

// between is a proxy in front of a server, with its control API.
type between struct {
	t            *testing.T
	url, control string
	client       *http.Client
}

func start(t *testing.T, handler http.HandlerFunc, others ...string) between {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := newProxy(append(others, strings.TrimPrefix(server.URL, "http://")))
	ended := make(chan error, 1)
	go func() { ended <- p.accept(ln) }()
	t.Cleanup(func() {
		require.NoError(t, ln.Close())
		p.close()
		require.ErrorIs(t, <-ended, net.ErrClosed)
	})
	orders := httptest.NewServer(newControl(p, newFirewall(ln.Addr(), p.targets)))
	t.Cleanup(orders.Close)
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	return between{t, "http://" + ln.Addr().String(), orders.URL, client}
}

func (b between) put(rule string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPut, b.control+"/rule", strings.NewReader(rule))
	require.NoError(b.t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(b.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusOK, res.StatusCode, "%s", text)
	require.JSONEq(b.t, rule, string(text))
}

func (b between) stats() (s stats) {
	b.t.Helper()
	require.NoError(b.t, jsoncall.Do(b.t.Context(), http.MethodGet, b.control+"/stats", nil, &s))
	return s
}

// post sends a body and returns what comes back within the time.
func (b between) post(body string, within time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(b.t.Context(), within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url, strings.NewReader(body))
	require.NoError(b.t, err)
	res, err := b.client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return string(text), err
}

// eventually waits for a count, which comes a moment after what is counted.
func (b between) eventually(ok func(stats) bool) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return ok(b.stats()) }, 20*time.Second, 5*time.Millisecond, "%+v", b.stats())
}

const patience = 20 * time.Second

// echo answers once it has everything.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		_, _ = w.Write(body)
	}
}

func TestPassesOn(t *testing.T) {
	b := start(t, echo)
	long := strings.Repeat("0123456789", 100_000)
	for range 3 {
		got, err := b.post(long, patience)
		require.NoError(t, err)
		require.True(t, got == long)
	}
	b.client.CloseIdleConnections()
	b.eventually(func(s stats) bool { return s == stats{Accepted: 1} })
}

func TestSlow(t *testing.T) {
	b := start(t, echo)
	b.put(`{"latency":"60ms","jitter":"10ms"}`)
	began := time.Now()
	_, err := b.post("x", patience)
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(began), 120*time.Millisecond, "each way")
	b.put(`{"bytes_per_second":100000}`)
	began = time.Now()
	_, err = b.post(strings.Repeat("x", 10_000), patience)
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(began), 200*time.Millisecond, "each way")
	require.Positive(t, b.stats().Slowed)
}

func TestResets(t *testing.T) {
	b := start(t, echo)
	b.put(`{"reset":1}`)
	_, err := b.post("x", patience)
	require.Error(t, err)
	require.False(t, errors.Is(err, context.DeadlineExceeded), "at once")
	b.eventually(func(s stats) bool { return s.Reset == 1 && s.Unanswered == 0 })
	b.put(`{}`)
	_, err = b.post("x", patience)
	require.NoError(t, err)
}

// TestAnswersAreCountedAsLost ends connections at every moment at which the
// other side may have done what was asked for.
func TestAnswersAreCountedAsLost(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	b := start(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body) // or the server does not see who leaves
		select {
		case asked <- struct{}{}:
		case <-r.Context().Done(): // of a client that tried once more
			return
		}
		select {
		case <-answer:
		case <-r.Context().Done(): // nobody is there any more
		}
	})
	failed := make(chan error, 1)
	send := func(within time.Duration) {
		go func() {
			_, err := b.post("x", within)
			failed <- err
		}()
		<-asked
	}
	send(patience)
	require.NoError(t, jsoncall.Do(t.Context(), http.MethodPost, b.control+"/reset", nil, nil))
	require.Error(t, <-failed)
	b.eventually(func(s stats) bool { return s.Unanswered == 1 && s.Reset == 1 && s.Open == 0 })

	send(50 * time.Millisecond) // the client gives up
	require.ErrorIs(t, <-failed, context.DeadlineExceeded)
	b.eventually(func(s stats) bool { return s.Unanswered == 2 && s.Open == 0 })

	send(time.Second) // the answer falls silent
	b.put(`{"silent":true}`)
	answer <- struct{}{}
	require.ErrorIs(t, <-failed, context.DeadlineExceeded)
	b.eventually(func(s stats) bool { return s.Unanswered == 3 && s.Silenced == 1 && s.Open == 0 })

	_, err := b.post("x", 50*time.Millisecond) // nothing arrives at all
	require.ErrorIs(t, err, context.DeadlineExceeded)
	b.eventually(func(s stats) bool { return s.Unanswered == 3 && s.Silenced == 2 && s.Open == 0 })

	b.put(`{"lose_answers":true}`)
	send(time.Second)
	answer <- struct{}{}
	require.ErrorIs(t, <-failed, context.DeadlineExceeded)
	b.eventually(func(s stats) bool { return s.Unanswered == 4 && s.Silenced == 3 && s.Open == 0 })

	b.put(`{}`)
	send(patience)
	answer <- struct{}{}
	require.NoError(t, <-failed)
}

// TestTargets takes the next one where a target does not answer.
func TestTargets(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	b := start(t, echo, gone.Addr().String())
	for range 4 {
		b.client.CloseIdleConnections()
		_, err := b.post("x", patience)
		require.NoError(t, err)
	}
	require.EqualValues(t, 4, b.stats().Accepted)

	p := newProxy([]string{gone.Addr().String()})
	here, there := net.Pipe()
	defer there.Close()
	p.serve(here)
	require.EqualValues(t, 1, p.now().Refused)
}

func TestMistakes(t *testing.T) {
	b := start(t, echo)
	for _, rule := range []any{
		map[string]any{"latency": "x"}, map[string]any{"latency": "-1s"}, map[string]any{"reset": 2}, map[string]any{"loss": -1},
		map[string]any{"bytes_per_second": -1}, map[string]any{"speed": 1}, []int{},
	} {
		require.ErrorContains(t, jsoncall.Do(t.Context(), http.MethodPut, b.control+"/rule", rule, nil), "400")
	}
	for _, args := range [][]string{{"--to", "nowhere"}, {"--to", "a:1", "--listen", "x"}, {"--to", "a:1", "--listen", "127.0.0.1:0", "--control", "x"}} {
		root := newRoot()
		root.SetArgs(args)
		root.SilenceErrors, root.SilenceUsage = true, true
		require.Error(t, root.ExecuteContext(t.Context()))
	}
}
