package bridge

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

type failing struct{ at time.Time }

func (f failing) Usage() queue.Usage {
	if time.Now().Before(f.at) {
		return queue.Usage{}
	}
	return queue.Usage{Err: queue.ErrFailed}
}

func TestAFailedStoreEndsTheBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		err := watchStore(t.Context(), failing{at: begin.Add(time.Minute)})
		require.ErrorIs(t, err, queue.ErrFailed)
		require.InDelta(t, time.Minute, time.Since(begin), float64(2*time.Second))

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, watchStore(ctx, failing{at: begin.Add(time.Hour)}))
	})
}

// What is wrong with one store is wrong with the bridge, and sizes are sums.
func TestUsageOfSeveralStores(t *testing.T) {
	older, newer, away := time.Unix(1, 0), time.Unix(2, 0), errors.New("away")
	sum := together(queue.Usage{Bytes: 1, Free: 7, Limit: 10, Damaged: 1, Scrubbed: newer},
		queue.Usage{Bytes: 2, Free: 5, Limit: 10, Full: true, Damaged: 2, Scrubbed: older, Away: away})
	sum = together(sum, queue.Usage{Bytes: 3, Free: 6, Limit: 10, Err: queue.ErrFailed, Scrubbed: newer})
	require.Equal(t, queue.Usage{Bytes: 6, Free: 5, Limit: 30, Full: true, Damaged: 3, Scrubbed: older, Err: queue.ErrFailed, Away: away}, sum)
}

// A queue is opened at the start alone.
func TestAQueueOfItsOwnNeedsARestart(t *testing.T) {
	t.Parallel()
	cfg := configFor(t, connectorTo("http://127.0.0.1:1"))
	r := run(t, cfg)
	c := connectorTo("http://127.0.0.1:1", "b")
	c.Queue = &config.Queue{URL: "postgres://bridge@db/b", AckWait: time.Minute}
	next := cfg
	next.Connectors = append([]config.Connector{cfg.Connectors[0]}, c)
	require.ErrorContains(t, r.bridge.Reload(t.Context(), next, nil), "connector b: its queue is opened with a restart only")
	next.Connectors = []config.Connector{cfg.Connectors[0]}
	next.Connectors[0].Queue = c.Queue
	r.reload(t, next)
	r.logged(t, `msg="this setting changes only with a restart" connector=default setting=queue`)
	require.NotContains(t, r.log.String(), "postgres")
}
