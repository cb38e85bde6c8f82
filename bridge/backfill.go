package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/currentsbridge/currentsbridge/bridge/backfill"
	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/intake"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// OpenForBackfill opens the store of a connector of cfg, which no bridge may have
// open unless it is PostgreSQL, and returns what stores batches out of storage
// exports in it, as a bridge would that runs with cfg. closeStore ends that.
func OpenForBackfill(ctx context.Context, cfg config.Config, connector string, log *slog.Logger) (_ backfill.Store, closeStore func() error, err error) {
	if err := cfg.Check(); err != nil {
		return nil, nil, err
	}
	c, found := connectorOf(cfg, connector)
	if !found {
		return nil, nil, fmt.Errorf("connector %q is not in the configuration", connector)
	}
	store, err := openStore(ctx, cfg, cfg.QueueOf(c), log)
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
		MaxBody:    int64(cfg.MaxBody), AppendTimeout: cfg.AppendTimeout, Log: log,
	})
	return func(_ context.Context, body []byte) (queue.Receipt, error) {
		receipt, err := in.Backfill(connector, bytes.NewReader(body))
		if status, _ := intake.Explain(err); err != nil && status == http.StatusRequestEntityTooLarge {
			err = fmt.Errorf("%w: %w", backfill.ErrTooLarge, err)
		}
		return receipt, err
	}, store.Close, nil
}
