package bridge

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// openStore opens the store that cfg.Queue names. log may be nil.
func openStore(ctx context.Context, cfg config.Config, log *slog.Logger) (*queue.Store, error) {
	opts := queue.Options{
		Password:       cfg.Queue.Password,
		RetainAge:      cfg.Retain.Age,
		RetainBytes:    int64(cfg.Retain.Size),
		MaxBytes:       int64(cfg.Queue.MaxSize),
		ScrubEvery:     cfg.ScrubEvery,
		AppendTimeout:  cfg.AppendTimeout,
		AckWait:        cfg.Queue.AckWait,
		DropDamagedLog: cfg.Queue.DropDamagedLog,
		Describe:       describe,
		Logger:         log,
	}
	if cfg.Queue.URL != config.SQLite {
		opts.URL = cfg.Queue.URL
		store, err := queue.Open(ctx, opts)
		if err != nil {
			return nil, fmt.Errorf("queue: %w", err)
		}
		return store, nil
	}
	opts.Dir = cfg.DataDir
	store, err := queue.Open(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("data_dir %s: %w", cfg.DataDir, err)
	}
	return store, nil
}

// describe finds what a dead letter is listed by.
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
