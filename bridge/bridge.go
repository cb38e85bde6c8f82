package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/intake"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
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
	opts Options

	mu    sync.Mutex // held while the configuration changes
	cfg   Config     // what is in force
	parts *parts     // nil while the bridge does not run
}

// New checks cfg; where it is wrong the error is a *ConfigError. It opens
// nothing yet.
func New(cfg Config, opts Options) (*Bridge, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Ready == nil {
		opts.Ready = func(Addresses) {}
	}
	return &Bridge{cfg: cfg, opts: opts}, nil
}

// Run takes and delivers events until ctx ends; then it takes nothing more,
// gives what is under way the configured grace, closes the store and returns
// nil. Whatever is not delivered by then is on disk and waits for the next Run.
//
// It fails at once where an address is taken, where another process has the
// data directory (queue.ErrLocked) or a newer version has written it
// (queue.ErrNewerFormat), or where no server of a queue on NATS answers within
// ten seconds; and later where nothing can be stored any more
// (queue.ErrFailed).
func (b *Bridge) Run(ctx context.Context) (err error) {
	for _, warning := range b.cfg.Warnings() {
		b.opts.Log.Warn(warning)
	}
	public, err := b.listenForBraze()
	if err != nil {
		return err
	}
	defer public.Close()
	private, err := listen("admin", b.cfg.Admin)
	if err != nil {
		return err
	}
	defer private.Close()
	store, err := OpenStore(ctx, b.cfg, b.opts.Log)
	if err != nil {
		return err
	}
	defer func() {
		if closing := store.Close(); closing != nil {
			err = errors.Join(err, fmt.Errorf("close the store: %w", closing))
		}
	}()
	parts, err := assemble(ctx, b.cfg, store, b.opts.Log)
	if err != nil {
		return err
	}
	return b.serve(ctx, parts, public, private)
}

// listenForBraze listens on the public address, within its limits.
func (b *Bridge) listenForBraze() (net.Listener, error) {
	var certificates *intake.Certificates
	if b.cfg.TLS != (TLS{}) {
		var err error
		if certificates, err = intake.NewCertificates(b.cfg.TLS.Cert, b.cfg.TLS.Key, b.opts.Log); err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
	}
	ln, err := listen("listen", b.cfg.Listen)
	if err != nil {
		return nil, err
	}
	return intake.Listen(ln, b.cfg.MaxConnections, certificates), nil
}

func listen(key, address string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return ln, nil
}

// serve runs the parts until ctx ends or one of them fails. The operator's
// address goes last, so that a slow end can be watched.
func (b *Bridge) serve(ctx context.Context, p *parts, public, private net.Listener) error {
	cfg := b.cfg // it may change from begin on
	work := newGroup(ctx)
	defer work.stop()
	watching, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	defer unwatch()
	watch := newGroup(watching)
	b.begin(p, work)
	watch.run(func(ctx context.Context) error { return cli.Serve(ctx, p.admin.Server(), private, time.Second) }, work.stop)
	work.run(func(ctx context.Context) error { return cli.Serve(ctx, p.intake.Server(), public, cfg.Grace) }, nil)
	work.run(func(ctx context.Context) error { return watchStore(ctx, p.store) }, nil)

	addresses := Addresses{Intake: cfg.scheme() + public.Addr().String(), Admin: "http://" + private.Addr().String()}
	b.opts.Log.Info("ready", "listen", addresses.Intake, "admin", addresses.Admin, "connectors", len(cfg.Connectors))
	b.opts.Ready(addresses)
	<-work.ctx.Done()
	b.end() // from here on nothing is started any more
	crashpoint.At("stop.begun")
	b.opts.Log.Info("stopping", "grace", cfg.Grace)
	failed := work.wait()
	unwatch()
	failed = errors.Join(failed, watch.wait())
	if failed == nil {
		b.opts.Log.Info("stopped")
	}
	return failed
}

func (c Config) scheme() string {
	if c.TLS != (TLS{}) {
		return "https://"
	}
	return "http://"
}

// begin starts the senders and lets the configuration be changed from here on.
func (b *Bridge) begin(p *parts, work *group) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.start(work)
	b.parts = p
}

// end lets nothing be changed any more.
func (b *Bridge) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.parts = nil
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
