package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// trap is a queue that panics.
type trap struct{ with any }

func (q trap) Append(context.Context, queue.Batch) (queue.Receipt, error) {
	if q.with == nil {
		var list []int
		return queue.Receipt{Accepted: list[len("xyz")]}, nil
	}
	panic(q.with)
}

func TestPanicEndsOneRequest(t *testing.T) {
	for text, with := range map[string]any{
		"index out of range":  nil,
		"*errors.errorString": errors.New("someone@example.com"),
		"panic=string":        "someone@example.com",
	} {
		t.Run(text, func(t *testing.T) {
			b := start(t, Config{})
			require.NoError(t, b.Reload([]Connector{
				{Name: "a", Tokens: []string{"secret"}, Queue: trap{with}}, {Name: "b", Tokens: []string{"other"}, Queue: b.queues["b"]},
			}))
			for range 2 {
				got := b.do(t, request{path: "/v1/webhook?writeKey=secret", body: oneEvent})
				require.Equal(t, 500, got.status)
				require.Contains(t, got.body, "send the batch again")
				require.Equal(t, 200, b.do(t, request{path: "/v1/webhook?writeKey=other", body: oneEvent}).status)
			}
			log := b.log.String()
			require.Contains(t, log, text)
			require.Contains(t, log, "rescue_test.go", "the place in the code")
			for _, private := range []string{"secret", "writeKey", "example.com", "external_user_id", "users.messages"} {
				require.NotContains(t, log, private)
			}
			require.Zero(t, b.requests.taken())
			require.Zero(t, b.appends.taken())
			require.Zero(t, b.buffers.inUse())
			require.Equal(t, "2", b.metric(t, "bridge_requests_total"))
		})
	}
}

func TestAbortedRequestsStayAborted(t *testing.T) {
	b := start(t, Config{})
	require.NoError(t, b.Reload([]Connector{{Name: "a", Queue: trap{http.ErrAbortHandler}}}))
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		b.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/currents", strings.NewReader(oneEvent)))
	})
	require.Empty(t, b.log.String())
	require.Zero(t, b.buffers.inUse())
}

// What is logged at any level holds no query, no token and nothing of a body,
// whatever is wrong with the request.
func TestQueriesAreNeverLogged(t *testing.T) {
	b := start(t, Config{})
	for _, query := range []string{"writeKey=k-private", "writeKey=k-private;x", "writeKey=%zz-k-private", "k-private", "writeKey=%00k-private", "?k-private", "writeKey=a&writeKey=k-private"} {
		for _, method := range []string{"POST", "GET", "post", "PRI"} {
			for _, path := range []string{"/v1/webhook", "/currents", "/v1/webhook/", "/x", "*", "http://x/v1/webhook"} {
				conn := b.raw(t, method+" "+path+"?"+query+" HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nX-Braze: k-private\r\n\r\nk-private")
				status := answerOn(t, conn).StatusCode
				require.Contains(t, []int{400, 401, 404, 405}, status, "%s %s?%s", method, path, query)
			}
		}
	}
	require.Contains(t, b.log.String(), "without a good token", "something is logged")
	require.NotContains(t, b.log.String(), "k-private")
}

func TestVersions(t *testing.T) {
	b := start(t, Config{})
	send := func(connector, token, version string) {
		header := with(token)
		if version != "" {
			header["Braze-Currents-Version"] = version
		}
		require.Equal(t, 200, b.do(t, request{path: "/currents/" + connector, body: oneEvent, header: header}).status)
	}
	lines := func() int { return strings.Count(b.log.String(), "version of Currents") }
	for range 3 {
		send("a", "secret", "")
		send("a", "secret", "1")
		send("a", "secret", " 1 ")
	}
	require.Zero(t, lines())
	require.Equal(t, "0", b.metric(t, "bridge_unknown_version_requests_total"))
	for range 3 {
		send("a", "secret", "2")
		send("a", "secret", "3")
		send("b", "other", "2")
	}
	require.Equal(t, 3, lines(), "once for each version of each connector")
	require.Equal(t, "6", b.metric(t, "bridge_unknown_version_requests_total"))

	for i := range 100 {
		send("a", "secret", fmt.Sprint(i, strings.Repeat("9", 5000)))
	}
	require.Equal(t, maxVersions+1, lines())
	require.NotContains(t, b.log.String(), strings.Repeat("9", maxVersionName+1))
}

// The 200 waits for the store, and never comes where the store failed.
func TestNoAnswerBeforeTheStoreIsDone(t *testing.T) {
	b := start(t, Config{})
	q := b.queues["a"]
	q.block, q.err = make(chan struct{}), errors.New("disk on fire")
	conn := b.raw(t, post("", oneEvent))
	require.Eventually(t, func() bool { return b.appends.taken() == 1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	n, err := conn.Read(make([]byte, 1))
	require.Error(t, err)
	require.Zero(t, n)
	close(q.block)
	require.Equal(t, 503, answerOn(t, conn).StatusCode)
	require.Zero(t, q.count())
}

func TestServersLimits(t *testing.T) {
	var log bytes.Buffer
	in, err := New(Config{Connectors: []Connector{{Name: "a", Queue: &shelf{}}}, BodyRead: time.Second, Log: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	srv := in.Server()
	require.Equal(t, 10*time.Second, srv.ReadHeaderTimeout)
	require.Equal(t, 2*time.Minute, srv.IdleTimeout)
	require.Equal(t, 16<<10, srv.MaxHeaderBytes)
	require.Greater(t, srv.WriteTimeout, time.Second+in.cfg.Patience)
	require.Equal(t, 32, srv.HTTP2.MaxConcurrentStreams)
	require.Equal(t, 1024, in.cfg.MaxRequests)
	srv.ErrorLog.Print("http: TLS handshake error")
	require.Empty(t, log.String(), "a scanner of ports must not fill the log")
}
