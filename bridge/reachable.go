package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// How often the servers of a queue are asked whether they are there, and how
// long their answer may take.
const (
	lookEvery = 2 * time.Second
	lookTime  = 3 * time.Second
)

// reachable is a store on other machines that tells in its Usage while they do
// not answer. A lost connection is not enough to go by: servers that have lost
// the majority of their cluster are connected and can store nothing.
type reachable struct {
	queue.Store
	away  atomic.Pointer[error] // nil: they answer
	stop  context.CancelFunc
	ended chan struct{}
}

func watchServers(store queue.Store, log *slog.Logger) *reachable {
	ctx, cancel := context.WithCancel(context.Background())
	r := &reachable{Store: store, stop: cancel, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		for pause(ctx, lookEvery) {
			r.look(ctx, log)
		}
	}()
	return r
}

// look asks for what only a majority of the servers can answer.
func (r *reachable) look(ctx context.Context, log *slog.Logger) {
	asking, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	_, err := r.Store.Connectors(asking)
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		if r.away.Swap(nil) != nil {
			log.Info("the queue's servers answer again")
		}
		return
	}
	err = fmt.Errorf("the servers that keep the queue do not answer, look at them and at the network: %w", err)
	if r.away.Swap(&err) == nil {
		log.Error("batches cannot be stored now", "error", err)
	}
}

// Usage implements queue.Store.
func (r *reachable) Usage() queue.Usage {
	u := r.Store.Usage()
	if away := r.away.Load(); away != nil && u.Away == nil {
		u.Away = *away
	}
	return u
}

// Close implements queue.Store.
func (r *reachable) Close() error {
	r.stop()
	<-r.ended
	return r.Store.Close()
}
