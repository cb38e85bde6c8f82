package bridge

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// failing is a store that fails after a while.
type failing struct {
	queue.Store
	at time.Time
}

func (f failing) Usage() queue.Usage {
	if time.Now().Before(f.at) {
		return queue.Usage{}
	}
	return queue.Usage{Err: queue.ErrFailed}
}

func TestAFailedStoreEndsTheBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		err := watchStore(t.Context(), failing{at: begin.Add(time.Minute)}.Usage)
		require.ErrorIs(t, err, queue.ErrFailed)
		require.InDelta(t, time.Minute, time.Since(begin), float64(2*time.Second))

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, watchStore(ctx, failing{at: begin.Add(time.Hour)}.Usage))
	})
}
