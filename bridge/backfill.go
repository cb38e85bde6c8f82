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
	for _, c := range cfg.Connectors {
		if c.Name != connector {
			continue
		}
		own := cfg
		own.Queue = cfg.QueueOf(c)
		store, err := openStore(ctx, own, log)
		if errors.Is(err, queue.ErrLocked) {
			return nil, nil, fmt.Errorf("%w; leave out --config (BRIDGE_CONFIG) to backfill into the bridge that runs", err)
		}
		if err != nil {
			return nil, nil, err
		}
		in, err := intakeFor(ctx, cfg, c, store, log)
		if err != nil {
			return nil, nil, errors.Join(err, store.Close())
		}
		return storing(in, connector), store.Close, nil
	}
	return nil, nil, fmt.Errorf("connector %q is not in the configuration", connector)
}

func intakeFor(ctx context.Context, cfg config.Config, c config.Connector, store *queue.Store, log *slog.Logger) (*intake.Intake, error) {
	q, err := store.Queue(ctx, c.Name, c.DedupeWindow)
	if err != nil {
		return nil, err
	}
	return intake.New(intake.Config{
		Connectors: []intake.Connector{{Connector: c, Queue: q}},
		MaxBody:    int64(cfg.MaxBody), AppendTimeout: cfg.AppendTimeout, Log: log,
	}), nil
}

func storing(in *intake.Intake, connector string) backfill.Store {
	return func(_ context.Context, body []byte) (queue.Receipt, error) {
		receipt, err := in.Backfill(connector, bytes.NewReader(body))
		if err == nil {
			return receipt, nil
		}
		if status, _ := intake.Explain(err); status == http.StatusRequestEntityTooLarge {
			err = fmt.Errorf("%w: %w", backfill.ErrTooLarge, err)
		}
		return receipt, err
	}
}
