package bridge

import (
	"bytes"
	"context"
	"sync/atomic"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// lane is a connector's queue and whoever delivers from it. It stays when the
// connector leaves the configuration: its events wait for it to come back.
type lane struct {
	name  string
	queue queue.Queue
	quiet bool // nobody needs to see it: it is not in the configuration and nothing waits in it

	crew  atomic.Pointer[crew] // nil: the connector is not in the configuration
	ended <-chan struct{}      // closed when the newest crew has ended; nil: there was none
}

// crew is what delivers with one set of settings.
type crew struct {
	connector Connector
	ca        []byte // what CAFile held
	sender    *delivery.Sender
	observer  delivery.Observer
	stop      context.CancelFunc
}

// same tells whether a connector can be delivered for by this crew.
func (c *crew) same(connector Connector, ca []byte) bool {
	return c != nil && !anyOf(changes(c.connector, connector), delivers) && bytes.Equal(c.ca, ca)
}

// take puts next in the place of the crew that is there, once that has ended:
// two at once would have more in flight than is configured. next may be nil.
func (l *lane) take(next *crew, work *group) {
	if last := l.crew.Swap(next); last != nil {
		last.stop()
	}
	if next == nil {
		return
	}
	l.quiet = false
	ctx, stop := context.WithCancel(work.ctx)
	next.stop = stop
	before, ended := l.ended, make(chan struct{})
	l.ended = ended
	work.run(func(context.Context) error {
		defer close(ended)
		defer stop()
		if before != nil {
			<-before
		}
		defer next.observer.GzipChanged(false) // the next one may not pack
		return next.sender.Run(ctx)
	}, nil)
}

// state says how the destination does.
func (l *lane) state() delivery.State {
	if c := l.crew.Load(); c != nil {
		return c.sender.State()
	}
	s := delivery.State{Name: delivery.StateOK, LastError: "the connector is not in the configuration"}
	if l.queue.Ledger().Pending() > 0 {
		s.Name, s.LastError = delivery.StatePaused, s.LastError+"; its events wait"
	}
	return s
}

// shown is the lane as the operator sees it.
func (l *lane) shown() admin.Connector {
	c := admin.Connector{Name: l.name, Queue: l.queue, Destination: l.state, Quiet: l.quiet}
	if l.crew.Load() != nil {
		c.Resume = l.resume
	}
	return c
}

func (l *lane) resume() {
	if c := l.crew.Load(); c != nil {
		c.sender.Resume()
	}
}
