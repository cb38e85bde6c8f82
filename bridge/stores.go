package bridge

import (
	"cmp"
	"context"
	"errors"
	"log/slog"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// stores are the open stores: the bridge's own, and those of connectors that
// name a queue of their own.
type stores struct {
	byQueue map[config.Queue]queue.Store
	all     []queue.Store // in the order in which they were opened
}

// openStores opens each store that a connector uses.
func openStores(ctx context.Context, cfg config.Config, log *slog.Logger) (*stores, error) {
	s := &stores{byQueue: map[config.Queue]queue.Store{}}
	for _, c := range cfg.Connectors {
		q := cfg.QueueOf(c)
		if s.byQueue[q] != nil {
			continue
		}
		own := cfg
		own.Queue = q
		store, err := OpenStore(ctx, own, log)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.byQueue[q], s.all = store, append(s.all, store)
	}
	return s, nil
}

func (s *stores) close() (failed error) {
	for _, store := range s.all {
		failed = errors.Join(failed, store.Close())
	}
	return failed
}

// usage is that of all stores together. A bridge that cannot store for one
// connector is not ready, since a load balancer cannot tell connectors apart.
func (s *stores) usage() queue.Usage {
	sum := s.all[0].Usage()
	for _, store := range s.all[1:] {
		u := store.Usage()
		sum.Bytes += u.Bytes
		sum.Free = min(sum.Free, u.Free)
		sum.Full = sum.Full || u.Full
		sum.Damaged += u.Damaged
		sum.Err, sum.Away = cmp.Or(sum.Err, u.Err), cmp.Or(sum.Away, u.Away)
		if u.Scrubbed.Before(sum.Scrubbed) {
			sum.Scrubbed = u.Scrubbed
		}
	}
	return sum
}
