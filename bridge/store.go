package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/pebble"
)

// OpenStore opens the store that cfg.Queue names. log may be nil.
func OpenStore(_ context.Context, cfg config.Config, log *slog.Logger) (queue.Store, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if cfg.Queue.URL != config.SQLite {
		return nil, errors.New("queue: this build has no PostgreSQL")
	}
	store, err := pebble.Open(cfg.DataDir, pebble.Options{
		Logger:      log,
		RetainAge:   cfg.Retain.Age,
		RetainBytes: int64(cfg.Retain.Size),
		MaxBytes:    int64(cfg.Queue.MaxSize),
		ScrubEvery:  cfg.ScrubEvery,
	})
	if err != nil {
		return nil, fmt.Errorf("data_dir %s: %w", cfg.DataDir, err)
	}
	return store, nil
}
