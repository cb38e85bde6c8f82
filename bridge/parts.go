package bridge

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/bridge/intake"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// parts is what runs.
type parts struct {
	log     *slog.Logger
	grace   time.Duration
	store   queue.Store
	posts   *postMetrics
	drift   *drift.Watch
	intake  *intake.Intake
	admin   *admin.Admin
	reloads *reloadMetrics

	lanes []*lane // those of the configuration first, in its order
	first []*crew // of the lanes, until start
	work  *group  // where senders run
}

// assemble opens the queue of each connector and puts intake, senders and admin
// around them.
func assemble(ctx context.Context, cfg Config, store queue.Store, log *slog.Logger) (*parts, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	p := &parts{log: log, store: store, grace: cfg.Grace}
	var err error
	if p.posts, err = newPostMetrics(registry); err != nil {
		return nil, err
	}
	if p.reloads, err = newReloadMetrics(registry, time.Now()); err != nil {
		return nil, err
	}
	if p.drift, err = drift.New(drift.Config{Log: log, Registerer: registry}); err != nil {
		return nil, err
	}
	if p.lanes, p.first, err = p.prepare(ctx, cfg); err != nil {
		return nil, err
	}
	if err := p.findRetired(ctx); err != nil {
		return nil, err
	}
	p.intake, err = intake.New(intake.Config{
		MaxBody: cfg.MaxBody, MaxRequests: cfg.MaxRequests, Log: log, Registerer: registry, Connectors: p.takers(cfg),
	})
	if err != nil {
		return nil, err
	}
	p.admin, err = admin.New(admin.Config{
		Usage: store.Usage, Drift: p.drift.List, Registry: registry, Log: log,
		Token: cfg.AdminToken, Hosts: cfg.adminHosts(),
	})
	return p, err
}

// prepare makes everything that the connectors of cfg need and that can fail: a
// lane for each, the one that is there already where it is, and a crew where
// there must be a new one. It changes nothing that runs.
func (p *parts) prepare(ctx context.Context, cfg Config) (lanes []*lane, crews []*crew, err error) {
	for _, c := range cfg.Connectors {
		l := p.lane(c.Name)
		if l == nil {
			q, err := p.store.Open(ctx, c.Name, c.DedupeWindow)
			if err != nil {
				return nil, nil, fmt.Errorf("open the queue of connector %s: %w", c.Name, err)
			}
			l = &lane{name: c.Name, queue: q}
		}
		next, err := p.crew(l, c)
		if err != nil {
			return nil, nil, fmt.Errorf("connector %s: %w", c.Name, err)
		}
		lanes, crews = append(lanes, l), append(crews, next)
	}
	return lanes, crews, nil
}

func (p *parts) lane(name string) *lane {
	for _, l := range p.lanes {
		if l.name == name {
			return l
		}
	}
	return nil
}

// crew returns who shall deliver for a connector: the crew that is there if its
// settings are the same.
func (p *parts) crew(l *lane, c Connector) (*crew, error) {
	ca, pool, err := c.rootCAs()
	if err != nil {
		return nil, err
	}
	if now := l.crew.Load(); now.same(c, ca) {
		return now, nil
	}
	observer := p.posts.of(c.Name)
	sender, err := p.sender(l, c, pool, observer)
	if err != nil {
		return nil, err
	}
	return &crew{connector: c, ca: ca, sender: sender, observer: observer}, nil
}

func (p *parts) sender(l *lane, c Connector, pool *x509.CertPool, observer delivery.Observer) (*delivery.Sender, error) {
	opts := c.mapping()
	opts.Drift = p.drift
	mapper, err := mapping.New(opts)
	if err != nil {
		return nil, err
	}
	grace := p.grace
	if grace == 0 {
		grace = -1 // to delivery, 0 is its default
	}
	return delivery.New(delivery.Config{
		Name:              c.Name,
		Queue:             queue.Claims(l.queue),
		Replays:           l.queue,
		Mapper:            mapper,
		URL:               c.RudderURL,
		WriteKey:          c.WriteKey,
		Mode:              delivery.Mode(c.Mode),
		Concurrency:       c.Concurrency,
		MaxEvents:         c.BatchEvents,
		MaxBody:           int(c.MaxBody),
		RequestsPerSecond: c.RequestsPerSecond,
		Gzip:              c.Gzip,
		RootCAs:           pool,
		Timeout:           c.Timeout,
		MinBackoff:        c.Backoff.Min,
		MaxBackoff:        c.Backoff.Max,
		Grace:             grace,
		Logger:            p.log,
		Observer:          observer,
	})
}

// findRetired opens the queues of connectors that the configuration does not
// have: their events may wait, and a person's must be found in them too.
func (p *parts) findRetired(ctx context.Context) error {
	names, err := p.store.Connectors(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if p.lane(name) != nil {
			continue
		}
		// How many ids it had is not known; with fewer, those that are on disk
		// would be given up.
		q, err := p.store.Open(ctx, name, queue.DefaultWindow)
		if err != nil {
			return fmt.Errorf("open the queue of connector %s, which is not in the configuration: %w", name, err)
		}
		ledger := q.Ledger()
		l := &lane{name: name, queue: q, quiet: ledger.Pending() == 0 && ledger.Dead == 0}
		if !l.quiet {
			p.log.Warn("a connector is not in the configuration, its events wait", "connector", name,
				"pending", ledger.Pending(), "dead", ledger.Dead)
		}
		p.lanes = append(p.lanes, l)
	}
	return nil
}

// takers are the connectors as intake sees them. Their lanes must be there.
func (p *parts) takers(cfg Config) []intake.Connector {
	list := make([]intake.Connector, len(cfg.Connectors))
	for i, c := range cfg.Connectors {
		list[i] = intake.Connector{
			Name: c.Name, Tokens: c.Tokens, Queue: p.lane(c.Name).queue, Webhook: c.Mode == Webhook,
			MissingExternalUserID: intake.Policy(c.MissingExternalUserID),
		}
	}
	return list
}

func (p *parts) shown() []admin.Connector {
	list := make([]admin.Connector, len(p.lanes))
	for i, l := range p.lanes {
		list[i] = l.shown()
	}
	return list
}

// start lets everybody deliver.
func (p *parts) start(work *group) {
	p.work = work
	for i, crew := range p.first {
		p.lanes[i].take(crew, work)
	}
	p.first = nil
	p.admin.Show(p.shown())
}

// retired returns the lanes that are not among lanes.
func (p *parts) retired(lanes []*lane) []*lane {
	var out []*lane
	for _, l := range p.lanes {
		if !slices.Contains(lanes, l) {
			out = append(out, l)
		}
	}
	return out
}
