package bridge

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/bridge/backfill"
	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/intake"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// stores are the open stores: the bridge's own, and those of connectors that
// name a queue of their own.
type stores struct {
	byQueue map[config.Queue]*queue.Store
	all     []*queue.Store // in the order in which they were opened
}

func openStores(ctx context.Context, cfg config.Config, log *slog.Logger) (*stores, error) {
	s := &stores{byQueue: map[config.Queue]*queue.Store{}}
	for _, c := range cfg.Connectors {
		q := cfg.QueueOf(c)
		if s.byQueue[q] != nil {
			continue
		}
		store, err := openStore(ctx, cfg, q, log)
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

// Usage is that of all stores together.
func (s *stores) Usage() queue.Usage {
	sum := s.all[0].Usage()
	for _, store := range s.all[1:] {
		sum = together(sum, store.Usage())
	}
	return sum
}

// OldestHistory is that of all stores together.
func (s *stores) OldestHistory(ctx context.Context) (oldest time.Time, err error) {
	for _, store := range s.all {
		at, failed := store.OldestHistory(ctx)
		err = errors.Join(err, failed)
		if oldest.IsZero() || !at.IsZero() && at.Before(oldest) {
			oldest = at
		}
	}
	return oldest, err
}

// Backup copies the embedded store.
func (s *stores) Backup(ctx context.Context, file string) error {
	for q, store := range s.byQueue {
		if q.URL == config.SQLite {
			return store.Backup(ctx, file)
		}
	}
	return admin.ErrNoStore
}

// together adds up the use of two stores. A bridge that cannot store for one
// connector is not ready, since a load balancer cannot tell connectors apart.
func together(a, b queue.Usage) queue.Usage {
	sum := queue.Usage{
		Bytes: a.Bytes + b.Bytes, Free: min(a.Free, b.Free), Limit: a.Limit + b.Limit, Full: a.Full || b.Full, Damaged: a.Damaged + b.Damaged,
		Scrubbed: a.Scrubbed, Err: cmp.Or(a.Err, b.Err), Away: cmp.Or(a.Away, b.Away),
	}
	if b.Scrubbed.Before(a.Scrubbed) {
		sum.Scrubbed = b.Scrubbed
	}
	return sum
}

func openStore(ctx context.Context, cfg config.Config, q config.Queue, log *slog.Logger) (*queue.Store, error) {
	opts := queue.Options{
		Password: q.Password, MaxBytes: int64(q.MaxSize), AckWait: q.AckWait, DropDamagedLog: q.DropDamagedLog,
		RetainAge: cfg.Retain.Age, RetainBytes: int64(cfg.Retain.Size), ScrubEvery: cfg.ScrubEvery, AppendTimeout: cfg.AppendTimeout,
		Describe: describe, Logger: log,
	}
	where := "queue"
	if q.URL == config.SQLite {
		opts.Dir, where = cfg.DataDir, "data_dir "+cfg.DataDir
	} else {
		opts.URL = q.URL
	}
	store, err := queue.Open(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	return store, nil
}

func describe(event []byte) (d queue.Description) {
	var scan currents.Batch
	if scan.ScanEvent(event) != nil {
		return d
	}
	e := scan.Events[0]
	return queue.Description{EventType: idOf(e.Type), EventID: idOf(e.ID), UserID: idOf(e.UserID), ExternalUserID: idOf(e.ExternalUserID)}
}

func idOf(raw []byte) string {
	text, _ := currents.AppendID(nil, raw)
	return string(text)
}

// OpenForBackfill opens the store of a connector of cfg, which no bridge may have
// open unless it is PostgreSQL, and returns what stores batches out of storage
// exports in it, as a bridge would that runs with cfg. closeStore ends that.
func OpenForBackfill(ctx context.Context, cfg config.Config, connector string) (_ backfill.Store, closeStore func() error, err error) {
	if err := cfg.Check(); err != nil {
		return nil, nil, err
	}
	c, found := connectorOf(cfg, connector)
	if !found {
		return nil, nil, fmt.Errorf("connector %q is not in the configuration", connector)
	}
	store, err := openStore(ctx, cfg, cfg.QueueOf(c), nil)
	if errors.Is(err, queue.ErrLocked) {
		return nil, nil, fmt.Errorf("%w; leave out --config (BRIDGE_CONFIG) to backfill into the bridge that runs", err)
	}
	if err != nil {
		return nil, nil, err
	}
	q, err := store.Queue(ctx, c.Name, c.DedupeWindow)
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	in := intake.New(intake.Config{
		Connectors: []intake.Connector{{Connector: c, Queue: q}},
		MaxBody:    int64(cfg.MaxBody),
	})
	return func(_ context.Context, body []byte) (queue.Receipt, error) {
		receipt, err := in.Backfill(connector, bytes.NewReader(body))
		if status, _ := intake.Explain(err); err != nil && status == http.StatusRequestEntityTooLarge {
			err = fmt.Errorf("%w: %w", backfill.ErrTooLarge, err)
		}
		return receipt, err
	}, store.Close, nil
}
