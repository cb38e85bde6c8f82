package bridge

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/bridge/intake"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/cli"
	"github.com/currentsbridge/currentsbridge/schemas"
)

type components struct {
	*stores
	log      *slog.Logger
	grace    time.Duration
	registry *prometheus.Registry
	requests map[string]*delivery.Metrics // by connector
	drift    *drift.Watch
	glossary atomic.Pointer[schemas.Glossary]
	settings atomic.Pointer[config.Config] // what is in force
	intake   *intake.Intake
	admin    *admin.Admin
	reloads  *reloadMetrics

	connectors []*connector // those of the configuration first, in its order

	work    *errgroup.Group // where senders run
	working context.Context // until when
}

// assemble makes the components, with the settings that only a restart changes. The
// others come with put.
func assemble(ctx context.Context, cfg config.Config, stores *stores, log *slog.Logger) (*components, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	p := &components{
		log: log, stores: stores, grace: cfg.Grace, registry: registry, requests: map[string]*delivery.Metrics{}, reloads: newReloadMetrics(registry),
		drift: drift.New(drift.Config{Log: log, Registerer: registry}),
	}
	p.intake = intake.New(intake.Config{
		MaxBody: int64(cfg.MaxBody), MaxRequests: cfg.MaxRequests, Log: log, Registerer: registry,
	})
	p.admin = admin.New(admin.Config{Bridge: p, Registry: registry, Log: log, BackupDir: cfg.DataDir})
	return p, p.findRetired(ctx, cfg)
}

// put puts a configuration into force, the first one too. What can fail comes first.
func (p *components) put(ctx context.Context, cfg config.Config) error {
	glossary := p.glossary.Load()
	if err := p.readGlossary(cfg); err != nil {
		return err
	}
	connectors, senders, err := p.prepare(ctx, cfg)
	if err == nil {
		err = p.admin.SetHosts(cfg.AdminNames())
	}
	if err != nil {
		p.glossary.Store(glossary)
		return err
	}
	gone := slices.DeleteFunc(p.connectors, func(c *connector) bool { return slices.Contains(connectors, c) })
	p.connectors = append(connectors, gone...)
	p.intake.Reload(p.intakeOf(cfg))
	for i, c := range connectors {
		if senders[i] != c.sender.Load() {
			p.run(c, senders[i])
		}
	}
	for _, c := range gone {
		p.run(c, nil)
	}
	p.admin.SetToken(cfg.AdminToken)
	p.show()
	p.settings.Store(&cfg)
	return nil
}

// readGlossary reads the glossary that cfg names. One that is the same as before
// changes nothing.
func (p *components) readGlossary(cfg config.Config) error {
	g, err := schemas.LoadFile(cfg.Glossary)
	if err != nil {
		return fmt.Errorf("glossary: %w", err)
	}
	if before := p.glossary.Load(); before != nil {
		if reflect.DeepEqual(before, g) {
			return nil
		}
		p.log.Info("the glossary is changed", "glossary", g.Version())
	}
	p.glossary.Store(g)
	p.drift.Forget()
	return nil
}

// prepare makes a connector and a sender for each connector of cfg, which can fail.
// A connector that exists is reused, as is its sender if its settings are the same.
// It changes nothing that runs.
func (p *components) prepare(ctx context.Context, cfg config.Config) (list []*connector, senders []*sender, err error) {
	for _, settings := range cfg.Connectors {
		c := p.connector(settings.Name)
		if c == nil {
			store := p.byQueue[cfg.QueueOf(settings)]
			if store == nil {
				return nil, nil, fmt.Errorf("connector %s: its queue is opened with a restart only", settings.Name)
			}
			q, err := store.Queue(ctx, settings.Name, settings.DedupeWindow)
			if err != nil {
				return nil, nil, fmt.Errorf("open the queue of connector %s: %w", settings.Name, err)
			}
			c = &connector{name: settings.Name, queue: q}
		}
		next, err := p.senderOf(c, settings)
		if err != nil {
			return nil, nil, fmt.Errorf("connector %s: %w", settings.Name, err)
		}
		list, senders = append(list, c), append(senders, next)
	}
	return list, senders, nil
}

func (p *components) connector(name string) *connector {
	if i := slices.IndexFunc(p.connectors, func(c *connector) bool { return c.name == name }); i >= 0 {
		return p.connectors[i]
	}
	return nil
}

func (p *components) senderOf(c *connector, settings config.Connector) (*sender, error) {
	ca, pool, err := settings.RootCAs()
	if err != nil {
		return nil, err
	}
	now, other := c.sender.Load(), func(change config.Change) bool { return change.Effect == config.NewSender }
	if now != nil && !slices.ContainsFunc(now.settings.Changes(settings), other) && bytes.Equal(now.ca, ca) && now.glossary == p.glossary.Load() {
		return now, nil
	}
	opts := settings.Mapping()
	opts.Drift, opts.Glossary = p.drift, p.glossary.Load()
	mapper, err := mapping.New(opts)
	if err != nil {
		return nil, err
	}
	if p.requests[settings.Name] == nil {
		p.requests[settings.Name] = delivery.NewMetrics(p.registry, settings.Name)
	}
	s, err := delivery.New(delivery.Config{
		Connector: settings, Queue: c.queue, Mapper: mapper, RootCAs: pool, Grace: p.grace, Logger: p.log, Metrics: p.requests[settings.Name],
	})
	return &sender{Sender: s, settings: settings, ca: ca, glossary: opts.Glossary}, err
}

// findRetired opens the queues of connectors that the configuration does not
// have: events may be pending there, and a person's must be found in them too.
func (p *components) findRetired(ctx context.Context, cfg config.Config) error {
	for _, store := range p.all {
		names, err := store.Connectors(ctx)
		if err != nil {
			return err
		}
		for _, name := range names {
			if _, configured := connectorOf(cfg, name); configured {
				continue
			}
			// Its window is not known; with a smaller one, ids on disk would be removed.
			q, err := store.Queue(ctx, name, queue.DefaultWindow)
			if err != nil {
				return fmt.Errorf("open the queue of connector %s, which is not in the configuration: %w", name, err)
			}
			ledger := q.Ledger()
			c := &connector{name: name, queue: q, hidden: ledger.Pending() == 0 && ledger.Dead == 0}
			if !c.hidden {
				p.log.Warn("a connector is not in the configuration, its events wait", "connector", name,
					"pending", ledger.Pending(), "dead", ledger.Dead)
			}
			p.connectors = append(p.connectors, c)
		}
	}
	return nil
}

func (p *components) intakeOf(cfg config.Config) []intake.Connector {
	list := make([]intake.Connector, len(cfg.Connectors))
	for i, c := range cfg.Connectors {
		list[i] = intake.Connector{Connector: c, Queue: p.connector(c.Name).queue}
	}
	return list
}

func (p *components) show() {
	list := make([]admin.Connector, len(p.connectors))
	for i, c := range p.connectors {
		list[i] = admin.Connector{Name: c.name, Queue: c.queue, Quiet: c.hidden}
		if s := c.sender.Load(); s != nil {
			list[i].Sender = s.Sender
		}
	}
	p.admin.Show(list)
}

// Unknown implements admin.Bridge.
func (p *components) Unknown() []drift.Item { return p.drift.List() }

// Backfill implements admin.Bridge.
func (p *components) Backfill(connector string, body io.Reader) (queue.Receipt, error) {
	return p.intake.Backfill(connector, body)
}

// About implements admin.Bridge.
func (p *components) About() admin.About {
	cfg := p.settings.Load()
	about := admin.About{Version: cli.Version(), Glossary: p.glossary.Load().Version(), Settings: cfg.Shown(), Connectors: []admin.ConnectorSettings{}}
	for _, c := range cfg.Connectors {
		about.Connectors = append(about.Connectors, admin.ConnectorSettings{Name: c.Name, Settings: c.Shown()})
	}
	return about
}

// run replaces the connector's sender by next, which starts once the old one has
// ended: two at once would have more in flight than is configured. next may be nil.
func (p *components) run(c *connector, next *sender) {
	if last := c.sender.Swap(next); last != nil {
		last.stop()
		if next != nil && len(last.settings.Changes(next.settings)) == 0 {
			p.log.Info("connector is changed", "connector", c.name, "settings", "files that it reads")
		}
	}
	if next == nil {
		return
	}
	c.hidden = false
	ctx, stop := context.WithCancel(p.working)
	next.stop = stop
	before, ended := c.ended, make(chan struct{})
	c.ended = ended
	p.work.Go(func() error {
		defer close(ended)
		defer stop()
		if before != nil {
			<-before
		}
		return next.Run(ctx)
	})
}

// connector is a connector's queue and the sender that delivers from it. It
// stays when the connector leaves the configuration: its events wait for it to
// come back.
type connector struct {
	name   string
	queue  *queue.Queue
	hidden bool // it is not in the configuration, and nothing is pending or dead

	sender atomic.Pointer[sender] // nil: the connector is not in the configuration
	ended  <-chan struct{}        // closed when the newest sender has ended; nil: there was none
}

type sender struct {
	*delivery.Sender
	settings config.Connector
	ca       []byte // what ca_file held
	glossary *schemas.Glossary
	stop     context.CancelFunc
}
