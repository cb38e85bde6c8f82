package bridge

import (
	"context"
	"errors"
	"sync"
)

// group is goroutines that end together: with its context, or when one of them
// fails.
type group struct {
	ctx  context.Context
	stop context.CancelFunc
	all  sync.WaitGroup

	mu     sync.Mutex
	failed error
}

func newGroup(ctx context.Context) *group {
	g := &group{}
	g.ctx, g.stop = context.WithCancel(ctx)
	return g
}

// run starts part; where it fails the group ends, and also is called if it is
// not nil. It must not be called once the group may have ended.
func (g *group) run(part func(context.Context) error, also func()) {
	g.all.Go(func() {
		err := part(g.ctx)
		if err == nil {
			return
		}
		g.mu.Lock()
		g.failed = errors.Join(g.failed, err)
		g.mu.Unlock()
		g.stop()
		if also != nil {
			also()
		}
	})
}

// wait returns what failed, once everything has ended.
func (g *group) wait() error {
	g.all.Wait()
	g.stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failed
}
