package intake

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func TestReload(t *testing.T) {
	b := start(t, Config{})
	next := &shelf{}
	require.NoError(t, b.Reload([]Connector{
		{Name: "c", Tokens: []string{"third"}, Queue: next},
		{Name: "a", Tokens: []string{"renewed"}, Queue: b.queues["a"], MissingExternalUserID: Dead},
	}))
	for _, tt := range []struct {
		path, token string
		status      int
	}{
		{"/currents", "third", 200}, // the first one is another
		{"/currents/c", "third", 200},
		{"/currents/a", "renewed", 200},
		{"/currents/a", "secret", 401}, // no longer
		{"/currents/b", "renewed", 404},
		{"/currents/b", "other", 401},
		{"/v1/webhook?writeKey=third", "", 200},
		{"/v1/webhook?writeKey=other", "", 401},
	} {
		got := b.do(t, request{path: tt.path, body: oneEvent, header: with(tt.token)})
		require.Equal(t, tt.status, got.status, "%s %s", tt.path, tt.token)
	}
	require.Equal(t, 3, next.count())
	require.Equal(t, 1, b.queues["a"].count())
	require.Zero(t, b.queues["b"].count())
	none := b.do(t, request{path: "/currents/a", body: `{"events":[{"id":"n","event_type":"t","user":{"user_id":"u"}}]}`, header: with("renewed")})
	require.Contains(t, none.body, `"dead":1`)
}

func TestReloadRefusesAndKeepsAll(t *testing.T) {
	b := start(t, Config{})
	q := &shelf{}
	for name, connectors := range map[string][]Connector{
		"none":             nil,
		"no queue":         {{Name: "z", Tokens: []string{"z"}}},
		"one name twice":   {{Name: "z", Queue: q}, {Name: "z", Queue: q}},
		"one token twice":  {{Name: "z", Queue: q, Tokens: []string{"z"}}, {Name: "y", Queue: q, Tokens: []string{"z"}}},
		"a token is empty": {{Name: "z", Queue: q, Tokens: []string{"z", ""}}},
	} {
		require.Error(t, b.Reload(connectors), name)
	}
	require.Equal(t, 200, b.do(t, request{body: oneEvent, header: with("secret")}).status)
	require.Equal(t, 200, b.do(t, request{path: "/currents/b", body: oneEvent, header: with("other")}).status)
	require.Equal(t, 401, b.do(t, request{path: "/currents/z", body: oneEvent, header: with("z")}).status)
}

// A connector keeps its metrics, and says nothing twice, when it is loaded anew.
func TestReloadKeepsMetrics(t *testing.T) {
	b := start(t, Config{})
	post := func() {
		got := b.do(t, request{path: "/currents/a", body: oneEvent, header: with("secret", "Braze-Currents-Version", "2")})
		require.Equal(t, 200, got.status)
	}
	a := Connector{Name: "a", Tokens: []string{"secret"}, Queue: b.queues["a"]}
	post()
	require.NoError(t, b.Reload([]Connector{a}))
	post()
	require.NoError(t, b.Reload([]Connector{{Name: "x", Queue: &shelf{}}})) // a is gone
	require.NoError(t, b.Reload([]Connector{a}))
	post()
	require.Equal(t, "3", b.metric(t, "bridge_unknown_version_requests_total"))
	require.Equal(t, fmt.Sprint(3*len(oneEvent)), b.metric(t, "bridge_received_bytes_total"))
	require.Equal(t, 1, strings.Count(b.log.String(), "version of Currents"))
}

// Requests under way end with the connector that they began with.
func TestReloadInTheMiddleOfRequests(t *testing.T) {
	b := start(t, Config{})
	q := b.queues["a"]
	q.block = make(chan struct{})
	var storing, reading = make(chan reply, 1), b.raw(t, post("", oneEvent)[:150])
	go func() { storing <- b.do(t, request{body: oneEvent, header: with("secret")}) }()
	require.Eventually(t, func() bool {
		return b.appends.taken() == 1 && b.metric(t, "bridge_requests_reading") == "1"
	}, 10*time.Second, time.Millisecond)

	other := &shelf{}
	require.NoError(t, b.Reload([]Connector{{Name: "z", Tokens: []string{"z"}, Queue: other}}))
	require.Equal(t, 200, b.do(t, request{body: oneEvent, header: with("z")}).status)
	require.Equal(t, 1, other.count())

	_, err := reading.Write([]byte(post("", oneEvent)[150:]))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return b.appends.taken() == 2 }, 10*time.Second, time.Millisecond)
	close(q.block)
	require.Equal(t, 200, (<-storing).status)
	requireOK(t, reading)
	require.Equal(t, 2, q.count())
	require.Equal(t, 1, other.count())
	require.Eventually(t, func() bool {
		return b.requests.taken() == 0 && b.appends.taken() == 0 && b.buffers.inUse() == 0
	}, 10*time.Second, time.Millisecond)
}

// While connectors come and go, no request of one that stays is lost or
// answered otherwise than 200.
func TestReloadUnderLoad(t *testing.T) {
	b := start(t, Config{})
	a := Connector{Name: "a", Tokens: []string{"secret"}, Queue: b.queues["a"]}
	done := make(chan struct{})
	var senders sync.WaitGroup
	counts := make([]int, 4)
	for i := range counts {
		senders.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				got := b.do(t, request{path: "/currents/a", body: oneEvent, header: with("secret")})
				if got.status != http.StatusOK {
					t.Errorf("%d %s", got.status, got.body)
					return
				}
				counts[i]++
			}
		})
	}
	for i := range 300 {
		connectors := []Connector{a}
		for j := range i % 4 {
			connectors = append(connectors, Connector{Name: fmt.Sprint("x", j), Tokens: []string{fmt.Sprint("t", i, j)}, Queue: &shelf{}})
		}
		if i%2 == 0 {
			connectors = append(connectors[1:], a)
		}
		before := b.queues["a"].count()
		require.NoError(t, b.Reload(connectors))
		require.Eventually(t, func() bool { return b.queues["a"].count() > before }, 10*time.Second, 100*time.Microsecond)
	}
	close(done)
	senders.Wait()
	sum := 0
	for _, n := range counts {
		sum += n
	}
	require.Positive(t, sum)
	require.Equal(t, sum, b.queues["a"].count())
	require.Zero(t, b.requests.taken())
}

var _ Appender = (queue.Queue)(nil) // what a store opens is what a connector needs
