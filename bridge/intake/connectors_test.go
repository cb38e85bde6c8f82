package intake

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func TestReload(t *testing.T) {
	b := start(t, Config{})
	next := &fakeQueue{}
	a := queued(b.queues["a"], "a", "renewed")
	a.MissingExternalUserID = config.Dead
	b.Reload([]Connector{queued(next, "c", "third"), a})
	b.requireAnswers(t, "testdata/reload.tsv")
	require.Equal(t, 3, next.count())
	require.Equal(t, 1, b.queues["a"].count())
	require.Zero(t, b.queues["b"].count())
	none := b.do(t, request{path: "/currents/a", body: `{"events":[{"id":"n","event_type":"t","user":{"user_id":"u"}}]}`, header: with("renewed")})
	require.Contains(t, none.body, `"dead":1`)
}

// An operator sees which of a connector's tokens are in use, and a rotation keeps
// the record of the token that stays, as it does the connector's metrics.
func TestTokens(t *testing.T) {
	b := start(t, Config{Connectors: []Connector{current("a", "old", "new"), current("b", "other")}})
	began := time.Now()
	send := func(path, token string) {
		b.do(t, request{path: path, body: oneEvent, header: with(token, "Braze-Currents-Version", "2")})
	}
	send("/currents", "new")
	send("/currents/a", "new")
	send("/v1/webhook?writeKey=other", "")
	for _, path := range []string{"/currents/b", "/currents/zzz", "/x"} { // good for none of these
		send(path, "old")
	}
	used := func(connector string, position int, want uint64) {
		t.Helper()
		for _, token := range b.table.Load().tokens {
			if token.owner.Name == connector && token.position == position {
				require.Equal(t, want, token.use.requests.Load())
				require.Equal(t, want > 0, token.use.last.Load() >= began.UnixNano())
				return
			}
		}
		t.Fatal("there is no such token")
	}
	used("a", 1, 0)
	used("a", 2, 2)
	used("b", 1, 1)
	require.Equal(t, "2", b.metric(t, "bridge_token_requests_total"))
	require.NotEqual(t, "0", b.metric(t, "bridge_token_last_used_timestamp_seconds"))
	b.Reload([]Connector{queued(&fakeQueue{}, "x")}) // a is gone
	b.Reload([]Connector{queued(b.queues["a"], "a", "new", "newer")})
	send("/currents", "new")
	used("a", 1, 3)
	used("a", 2, 0)
	require.Equal(t, "3", b.metric(t, "bridge_unknown_version_requests_total"))
	require.Equal(t, fmt.Sprint(3*len(oneEvent)), b.metric(t, "bridge_received_bytes_total"))
}

// With 503 for a wrong token Braze keeps its batches; a probe still gets 401.
func TestWrongToken(t *testing.T) {
	a := current("a", "secret")
	a.WrongToken = 503
	b := start(t, Config{Connectors: []Connector{a, current("b", "other")}})
	b.requireAnswers(t, "testdata/wrongtoken.tsv")
}

// Requests in flight end with the connector that they began with.
func TestReloadInTheMiddleOfRequests(t *testing.T) {
	b := start(t, Config{})
	q := b.queues["a"]
	q.hang()
	var storing, reading = make(chan reply, 1), b.raw(t, post("", oneEvent)[:150])
	go func() { storing <- b.do(t, request{body: oneEvent, header: with("secret")}) }()
	q.waits(t, 1)
	require.Eventually(t, func() bool { return b.metric(t, "bridge_requests_reading") == "1" }, 20*time.Second, time.Millisecond)

	other := &fakeQueue{}
	b.Reload([]Connector{queued(other, "z", "z")})
	require.Equal(t, 200, b.do(t, request{body: oneEvent, header: with("z")}).status)
	require.Equal(t, 1, other.count())

	_, err := reading.Write([]byte(post("", oneEvent)[150:]))
	require.NoError(t, err)
	q.waits(t, 2)
	q.release()
	require.Equal(t, 200, (<-storing).status)
	requireOK(t, reading)
	require.Equal(t, 2, q.count())
	require.Equal(t, 1, other.count())
	b.quiet(t)
}

var _ Appender = (*queue.Queue)(nil) // what a store opens is what a connector needs
