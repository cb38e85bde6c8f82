// Package bridge takes batches of events from Braze Currents, keeps them on
// disk, and delivers them to RudderStack. It is the composition root: it opens
// the store, and starts the intake, a sender for each connector, and the admin
// address. Each of these lives in a package of its own below this one.
package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/currentsbridge/currentsbridge/bridge/config"
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

	mu         sync.Mutex    // held while a configuration is put into force
	cfg        config.Config // what is in force
	components *components   // nil while the bridge does not run
}

// New checks cfg; where it is wrong the error is a *config.Error. It opens
// nothing yet.
func New(cfg config.Config, opts Options) (*Bridge, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	opts.Log = cmp.Or(opts.Log, slog.New(slog.DiscardHandler))
	if opts.Ready == nil {
		opts.Ready = func(Addresses) {}
	}
	return &Bridge{cfg: cfg, opts: opts}, nil
}

// Run takes and delivers events until ctx ends; then it takes nothing more,
// gives requests and deliveries in flight the configured grace, closes the store
// and returns nil. What is not delivered by then is on disk until the next Run.
//
// It fails at once where an address is taken, where another process has the
// data directory (queue.ErrLocked) or a newer version has written it
// (queue.ErrNewerFormat); and later where nothing can be stored any more
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
	stores, err := openStores(ctx, b.cfg, b.opts.Log)
	if err != nil {
		return err
	}
	defer func() {
		if failed := stores.close(); failed != nil {
			err = errors.Join(err, fmt.Errorf("close the store: %w", failed))
		}
	}()
	c, err := assemble(ctx, b.cfg, stores, b.opts.Log)
	if err != nil {
		return err
	}
	return b.serve(ctx, c, public, private)
}

func (b *Bridge) listenForBraze() (net.Listener, error) {
	var certificates *intake.Certificates
	if b.cfg.TLS != (config.TLS{}) {
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

// serve runs the components until ctx ends or one of them fails. The admin
// address ends last, so that a slow shutdown can be watched.
func (b *Bridge) serve(ctx context.Context, c *components, public, private net.Listener) error {
	cfg := b.cfg // it may change from permit on
	// The work does not end with ctx, but once /readyz is 503.
	stopping, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	work, working := errgroup.WithContext(stopping)
	watching, stopAdmin := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAdmin()
	c.work, c.working = work, working
	if err := c.put(ctx, cfg); err != nil {
		return err
	}
	b.permit(c)
	adminEnded := make(chan error, 1)
	go func() {
		err := cli.Serve(watching, c.admin.Server(), private, time.Second)
		if err != nil {
			stop()
		}
		adminEnded <- err
	}()
	work.Go(func() error { return cli.Serve(working, c.intake.Server(), public, cfg.Grace) })
	work.Go(func() error { return watchStore(working, c) })
	work.Go(func() error { return c.admin.Watch(working) })

	addresses := Addresses{Intake: cfg.Scheme() + public.Addr().String(), Admin: "http://" + private.Addr().String()}
	b.opts.Log.Info("ready", "listen", addresses.Intake, "admin", addresses.Admin, "connectors", len(cfg.Connectors))
	b.opts.Ready(addresses)
	select {
	case <-ctx.Done():
	case <-working.Done():
	}
	c.admin.Stopping()
	stop()
	b.permit(nil) // from here on nothing is started any more
	crashpoint.At("stop.begun")
	b.opts.Log.Info("stopping", "grace", cfg.Grace)
	failed := work.Wait()
	stopAdmin()
	failed = errors.Join(failed, <-adminEnded)
	if failed == nil {
		b.opts.Log.Info("stopped")
	}
	return failed
}

// permit permits reloads of c; nil: no reload any more.
func (b *Bridge) permit(c *components) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.components = c
}

// watchStore ends the bridge once its store has failed: only opening it again
// helps, and the supervisor that runs the bridge starts it again.
func watchStore(ctx context.Context, store interface{ Usage() queue.Usage }) error {
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
