package bridge

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// openStore opens the store of a queue. log may be nil.
func openStore(ctx context.Context, cfg config.Config, q config.Queue, log *slog.Logger) (*queue.Store, error) {
	opts := queue.Options{
		Password:       q.Password,
		RetainAge:      cfg.Retain.Age,
		RetainBytes:    int64(cfg.Retain.Size),
		MaxBytes:       int64(q.MaxSize),
		ScrubEvery:     cfg.ScrubEvery,
		AppendTimeout:  cfg.AppendTimeout,
		AckWait:        q.AckWait,
		DropDamagedLog: q.DropDamagedLog,
		Describe:       describe,
		Logger:         log,
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
