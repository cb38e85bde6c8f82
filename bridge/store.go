package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/jetstream"
	"github.com/currentsbridge/currentsbridge/bridge/queue/pebble"
)

// openTime bounds how long a start waits for NATS. Whoever runs the bridge
// starts it again.
const openTime = 30 * time.Second

// OpenStore opens the store that cfg names: the directory of the embedded one,
// or the streams on NATS. log may be nil. A cluster that does not answer within
// half a minute is an error that says what to look at.
func OpenStore(ctx context.Context, cfg Config, log *slog.Logger) (queue.Store, error) {
	if cfg.Queue.OnNATS() {
		return openNATS(ctx, cfg, log)
	}
	store, err := pebble.Open(cfg.DataDir, pebble.Options{
		Logger:      log,
		RetainAge:   cfg.Retain.Age,
		RetainBytes: cfg.Retain.Size,
		MaxBytes:    cfg.Queue.MaxSize,
		ScrubEvery:  cfg.ScrubEvery,
	})
	if err != nil {
		return nil, fmt.Errorf("data_dir %s: %w", cfg.DataDir, err)
	}
	return store, nil
}

func openNATS(ctx context.Context, cfg Config, log *slog.Logger) (queue.Store, error) {
	opts, err := cfg.jetstream()
	if err != nil {
		return nil, err
	}
	opts.Logger = log
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	store, err := jetstream.Open(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("queue %s: %w%s", opts.URL, err, adviceFor(err))
	}
	return store, nil
}

// jetstream returns what the store on NATS is told.
func (c Config) jetstream() (jetstream.Options, error) {
	servers, err := c.Queue.servers()
	if err != nil {
		return jetstream.Options{}, fmt.Errorf("queue: %w", err)
	}
	n := c.Queue.NATS
	client, err := n.TLS.client()
	if err != nil {
		return jetstream.Options{}, err
	}
	return jetstream.Options{
		URL:         strings.Join(servers, ","),
		Credentials: n.Credentials,
		User:        n.User, Password: n.Password, Token: n.Token,
		TLS:         client,
		Prefix:      n.Prefix,
		Replicas:    n.Replicas,
		RetainAge:   c.Retain.Age,
		RetainBytes: c.Retain.Size,
		MaxBytes:    c.Queue.MaxSize,
		Repeats:     n.Repeats,
		AckWait:     n.AckWait,
	}, nil
}

var _ = errors.Is
