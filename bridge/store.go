package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/jetstream"
	"github.com/currentsbridge/currentsbridge/bridge/queue/pebble"
)

// Times for a queue on NATS.
const (
	// openTime is how long a start waits for servers that do not answer. Whoever
	// runs the bridge starts it again.
	openTime  = 10 * time.Second
	openPause = 500 * time.Millisecond
	askTime   = 5 * time.Second // for AskQueue
)

// OpenStore opens the store that cfg names: the directory of the embedded one,
// or the streams on NATS. log may be nil. A cluster that does not answer within
// ten seconds is an error that says what to look at.
func OpenStore(ctx context.Context, cfg Config, log *slog.Logger) (queue.Store, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
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

// openNATS asks again while no server answers: whoever starts everything at once
// starts them at the same moment.
func openNATS(ctx context.Context, cfg Config, log *slog.Logger) (queue.Store, error) {
	opts, err := cfg.jetstream()
	if err != nil {
		return nil, err
	}
	opts.Logger = log
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	for told := false; ; told = true {
		store, err := jetstream.Open(ctx, opts)
		if err == nil {
			return watchServers(store, log), nil
		}
		if !unreachable(err) || !pause(ctx, openPause) {
			return nil, fmt.Errorf("queue %s: %w", opts.URL, err)
		}
		if !told {
			log.Warn("the queue's servers do not answer; trying again", "queue", opts.URL, "error", err, "for", openTime)
		}
	}
}

// pause waits, and tells whether ctx let it.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// unreachable tells an error that says nothing about the configuration: the
// servers, or the network to them, may be there in a moment.
func unreachable(err error) bool {
	var network net.Error
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" { // crypto/tls: the server has refused the handshake
		return false
	}
	return errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrDisconnected) ||
		errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network)
}

// AskQueue connects to the servers of a queue on NATS, for a few seconds at
// most, and changes nothing there. It returns what is allowed and should be
// meant: servers that do not answer, and streams that are on one server only.
// What cannot work, such as a server without JetStream, is a *ConfigError. For
// the embedded store there is nothing to ask.
func (c Config) AskQueue(ctx context.Context) (warnings []string, err error) {
	if !c.Queue.OnNATS() {
		return nil, nil
	}
	opts, err := c.jetstream()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	server, err := jetstream.Inspect(ctx, opts)
	switch {
	case err == nil:
	case unreachable(err):
		return []string{"queue: could not be asked, and the bridge starts only once it answers: " + err.Error()}, nil
	default:
		return nil, queueMistake("queue", "%v", err)
	}
	switch {
	case server.Cluster == "" && c.Queue.NATS.Replicas > 1:
		return nil, queueMistake("queue.replicas", "is %d, and the server %s stands alone; leave it out, or name a cluster", c.Queue.NATS.Replicas, server.Name)
	case server.Cluster == "":
		warnings = append(warnings, "queue: the server "+server.Name+" stands alone; what waits for delivery is lost with its disk; use a cluster of three")
	case server.Replicas == 1:
		warnings = append(warnings, "queue.replicas: is 1, and what waits for delivery is lost with one server's disk; use 3")
	}
	if server.Nodes > 0 && server.Nodes < server.Replicas {
		return nil, queueMistake("queue.replicas", "the cluster %s has %d servers, and each stream is to be kept by %d; set queue.replicas to what it has, or add servers", server.Cluster, server.Nodes, server.Replicas)
	}
	return warnings, nil
}

func queueMistake(key, format string, args ...any) error {
	p := newProblems(map[string]origin{})
	p.add(key, format, args...)
	return p.err()
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
