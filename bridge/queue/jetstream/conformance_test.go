package jetstream

import (
	"context"
	"testing"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/queuetest"
	"github.com/currentsbridge/currentsbridge/internal/natstest"
)

// All cases share a server; each has a prefix of its own.
func TestConformance(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	n := 0
	queuetest.Run(t, func(t *testing.T) queuetest.Site {
		n++
		s := &site{opts: Options{
			URL: srv.URL(), Prefix: "case-" + string(rune('a'+n/26)) + string(rune('a'+n%26)),
			RetainAge: time.Hour, AckWait: time.Minute, Logger: logTo(t), every: 200 * time.Millisecond,
		}}
		return queuetest.Site{Open: s.open, Fill: s.fill, History: true, Shared: true}
	})
}

// site is a prefix on a server.
type site struct {
	opts  Options
	store *Store
}

func (s *site) open() (queue.Store, error) {
	store, err := Open(context.Background(), s.opts)
	if err == nil {
		s.store = store.(*Store)
	}
	return store, err
}

// fill makes the limit for pending events so small that one is too many.
func (s *site) fill(full bool) {
	limit := int64(0)
	if full {
		limit = 1
	}
	s.store.limit.Store(limit)
}
