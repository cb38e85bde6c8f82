package bridge

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// OpenStore opens the store that cfg.Queue names. log may be nil.
func OpenStore(ctx context.Context, cfg config.Config, log *slog.Logger) (*queue.Store, error) {
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
	if len(event) == 0 || event[0] != '{' {
		return d
	}
	for f := currents.Fields(event); f.Next(); {
		switch {
		case f.KeyIs("event_type"):
			d.EventType = idOf(f.Value())
		case f.KeyIs("id"):
			d.EventID = idOf(f.Value())
		case f.KeyIs("user") && bytes.HasPrefix(f.Value(), []byte("{")):
			for u := currents.Fields(f.Value()); u.Next(); {
				switch {
				case u.KeyIs("user_id"):
					d.UserID = idOf(u.Value())
				case u.KeyIs("external_user_id"):
					d.ExternalUserID = idOf(u.Value())
				}
			}
		}
	}
	return d
}

func idOf(raw []byte) string {
	text, _ := currents.AppendID(nil, raw)
	return string(text)
}
