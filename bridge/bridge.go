package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/intake"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/pebble"
	"github.com/currentsbridge/currentsbridge/internal/cli"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// Options are what a Bridge needs beside its configuration.
type Options struct {
	// Log gets one line for each change of state, never a token, never an
	// event. Default: none.
	Log *slog.Logger
	// Ready is called once when both addresses answer.
	Ready func(Addresses)
}

// Addresses are the URLs that a running bridge answers on. They differ from the
// configured ones where those leave the port to the system.
type Addresses struct {
	Intake string // what Braze posts to, without /currents
	Admin  string
}

// Bridge is a bridge that can run. Make one with New.
type Bridge struct {
	cfg  Config
	opts Options
}

// New checks cfg; where it is wrong the error is a *ConfigError. It opens
// nothing yet.
func New(cfg Config, opts Options) (*Bridge, error) {
	p := newProblems(map[string]origin{})
	cfg.check(p, listKey)
	if err := p.err(); err != nil {
		return nil, err
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Ready == nil {
		opts.Ready = func(Addresses) {}
	}
	return &Bridge{cfg, opts}, nil
}

// Run takes and delivers events until ctx ends; then it takes nothing more,
// gives what is under way the configured grace, closes the store and returns
// nil. Whatever is not delivered by then is on disk and waits for the next Run.
//
// It fails at once where an address is taken, where another process has the
// data directory (queue.ErrLocked) or a newer version has written it
// (queue.ErrNewerFormat); and later where nothing can be stored any more
// (queue.ErrFailed).
func (b *Bridge) Run(ctx context.Context) (err error) {
	public, err := listen("listen", b.cfg.Listen)
	if err != nil {
		return err
	}
	defer public.Close()
	private, err := listen("admin", b.cfg.Admin)
	if err != nil {
		return err
	}
	defer private.Close()
	store, err := b.openStore()
	if err != nil {
		return err
	}
	defer func() {
		if closing := store.Close(); closing != nil {
			err = errors.Join(err, fmt.Errorf("close the store: %w", closing))
		}
	}()
	parts, err := b.assemble(ctx, store)
	if err != nil {
		return err
	}
	return b.serve(ctx, parts, store, public, private)
}

func listen(key, address string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return ln, nil
}

func (b *Bridge) openStore() (queue.Store, error) {
	store, err := pebble.Open(b.cfg.DataDir, pebble.Options{
		Logger:      b.opts.Log,
		RetainAge:   b.cfg.Retain.Age,
		RetainBytes: b.cfg.Retain.Size,
		MaxBytes:    b.cfg.Queue.MaxSize,
	})
	if err != nil {
		return nil, fmt.Errorf("data_dir %s: %w", b.cfg.DataDir, err)
	}
	return store, nil
}

// parts is what runs.
type parts struct {
	intake  *intake.Intake
	admin   *admin.Admin
	senders []*delivery.Sender
}

// assemble opens the queue of each connector and puts intake, senders and admin
// around them.
func (b *Bridge) assemble(ctx context.Context, store queue.Store) (parts, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	posts, err := newPostMetrics(registry)
	if err != nil {
		return parts{}, err
	}
	var made parts
	in := intake.Config{MaxBody: b.cfg.MaxBody, Log: b.opts.Log, Registerer: registry}
	ad := admin.Config{Usage: store.Usage, Registry: registry, Log: b.opts.Log}
	for _, c := range b.cfg.Connectors {
		q, err := store.Open(ctx, c.Name, c.DedupeWindow)
		if err != nil {
			return parts{}, fmt.Errorf("open the queue of connector %s: %w", c.Name, err)
		}
		sender, err := b.sender(c, q, posts.of(c.Name))
		if err != nil {
			return parts{}, fmt.Errorf("connector %s: %w", c.Name, err)
		}
		if c.Open {
			b.opts.Log.Warn("this connector takes events from anyone", "connector", c.Name)
		}
		made.senders = append(made.senders, sender)
		in.Connectors = append(in.Connectors, intake.Connector{
			Name: c.Name, Tokens: c.Tokens, Queue: q, Webhook: c.Mode == Webhook,
			MissingExternalUserID: intake.Policy(c.MissingExternalUserID),
		})
		ad.Connectors = append(ad.Connectors, admin.Connector{Name: c.Name, Queue: q, Destination: sender.State})
	}
	if made.intake, err = intake.New(in); err != nil {
		return parts{}, err
	}
	made.admin, err = admin.New(ad)
	return made, err
}

func (b *Bridge) sender(c Connector, q queue.Queue, observer delivery.Observer) (*delivery.Sender, error) {
	mapper, err := mapping.New(mapping.Options{Webhook: c.Mode == Webhook})
	if err != nil {
		return nil, err
	}
	grace := b.cfg.Grace
	if grace == 0 {
		grace = -1 // to delivery, 0 is its default
	}
	return delivery.New(delivery.Config{
		Name:        c.Name,
		Queue:       q,
		Mapper:      mapper,
		URL:         c.RudderURL,
		WriteKey:    c.WriteKey,
		Mode:        delivery.Mode(c.Mode),
		Concurrency: c.Concurrency,
		MaxEvents:   c.BatchEvents,
		MaxBody:     int(c.MaxBody),
		Timeout:     c.Timeout,
		MinBackoff:  c.Backoff.Min,
		MaxBackoff:  c.Backoff.Max,
		Grace:       grace,
		Logger:      b.opts.Log,
		Observer:    observer,
	})
}

// serve runs the parts until ctx ends or one of them fails. The operator's
// address goes last, so that a slow end can be watched.
func (b *Bridge) serve(ctx context.Context, p parts, store queue.Store, public, private net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watching, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	defer unwatch()
	failures := make(chan error, len(p.senders)+3)
	run := func(group *sync.WaitGroup, part func() error) {
		group.Go(func() {
			if err := part(); err != nil {
				failures <- err
				stop()
			}
		})
	}
	var work, watch sync.WaitGroup
	run(&watch, func() error { return cli.Serve(watching, p.admin.Server(), private, time.Second) })
	run(&work, func() error { return cli.Serve(ctx, p.intake.Server(), public, b.cfg.Grace) })
	run(&work, func() error { return watchStore(ctx, store) })
	for _, sender := range p.senders {
		run(&work, func() error { return sender.Run(ctx) })
	}

	addresses := Addresses{Intake: "http://" + public.Addr().String(), Admin: "http://" + private.Addr().String()}
	b.opts.Log.Info("ready", "listen", addresses.Intake, "admin", addresses.Admin, "connectors", len(p.senders))
	b.opts.Ready(addresses)
	<-ctx.Done()
	crashpoint.At("stop.begun")
	b.opts.Log.Info("stopping", "grace", b.cfg.Grace)
	work.Wait()
	unwatch()
	watch.Wait()
	close(failures)
	var failed error
	for err := range failures {
		failed = errors.Join(failed, err)
	}
	if failed == nil {
		b.opts.Log.Info("stopped")
	}
	return failed
}

// watchStore ends the bridge once its store has failed: only opening it anew
// helps, and whoever runs the bridge starts it again.
func watchStore(ctx context.Context, store queue.Store) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := store.Usage().Err; err != nil {
				return fmt.Errorf("the store has failed, start the bridge again: %w", err)
			}
		}
	}
}
