package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ErrNotRunning means that a bridge does not run: not yet, or not any more.
var ErrNotRunning = errors.New("the bridge is not running")

// Reload puts cfg in the place of the configuration that is in force, without
// losing a request or an event. Connectors may come, go and change; who does not
// change goes on undisturbed. Where a connector's delivery changes, its sender
// ends as at shutdown, within the grace, and a new one goes on from there, while
// intake goes on taking. The events of a connector that goes stay on disk and
// wait for it to come back. What only a restart can change is left as it is and
// named in the log.
//
// On an error, such as a *ConfigError, nothing has changed. Before Run is ready
// and after it was told to end the error is ErrNotRunning.
func (b *Bridge) Reload(ctx context.Context, cfg Config) error {
	return b.ReloadFrom(ctx, func() (Config, error) { return cfg, nil })
}

// ReloadFrom is Reload of what load returns. What is wrong is logged, a line for
// each mistake, and counted, whether it is load that finds it or Reload.
//
// load may take its time, as where a file is a pipe: it holds up neither the
// bridge nor its end.
func (b *Bridge) ReloadFrom(ctx context.Context, load func() (Config, error)) error {
	b.mu.Lock()
	running := b.parts != nil
	b.mu.Unlock()
	if !running {
		return ErrNotRunning
	}
	cfg, err := load()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.parts == nil {
		return ErrNotRunning
	}
	if err == nil {
		err = b.reload(ctx, cfg)
	}
	b.parts.reloads.count(err, time.Now())
	var wrong *ConfigError
	switch {
	case err == nil:
		b.opts.Log.Info("configuration is reloaded", "connectors", len(b.cfg.Connectors))
		return nil
	case errors.As(err, &wrong):
		for _, problem := range wrong.Problems {
			b.opts.Log.Error("mistake in the configuration", "mistake", problem.String())
		}
	}
	b.opts.Log.Error("configuration is refused, the old one stays in force", "error", firstLine(err))
	return err
}

func firstLine(err error) string {
	var wrong *ConfigError
	if errors.As(err, &wrong) {
		return fmt.Sprintf("%d mistakes", len(wrong.Problems))
	}
	return err.Error()
}

func (b *Bridge) reload(ctx context.Context, cfg Config) error {
	if err := cfg.Check(); err != nil {
		return err
	}
	p := b.parts
	lanes, crews, err := p.prepare(ctx, cfg)
	if err != nil {
		return err
	}
	gone := p.retired(lanes)
	before := p.lanes
	p.lanes = append(lanes, gone...)
	if err := p.intake.Reload(p.takers(cfg)); err != nil {
		p.lanes = before
		return err
	}
	b.tell(cfg)
	for i, l := range lanes {
		now := l.crew.Load()
		if crews[i] == now {
			continue
		}
		if now != nil && len(changes(now.connector, crews[i].connector)) == 0 {
			b.opts.Log.Info("connector is changed", "connector", l.name, "settings", "ca_file")
		}
		l.take(crews[i], p.work)
	}
	for _, l := range gone {
		l.take(nil, p.work)
	}
	// Of the bridge's own settings, what is not in force differs again next time.
	inForce := b.cfg
	inForce.AdminToken, inForce.AdminHosts, inForce.Connectors = cfg.AdminToken, cfg.AdminHosts, cfg.Connectors
	p.admin.SetToken(cfg.AdminToken)
	if err := p.admin.SetHosts(inForce.adminHosts()); err != nil {
		return err
	}
	p.admin.Show(p.shown())
	b.cfg = inForce
	return nil
}

// tell logs a line for each change.
func (b *Bridge) tell(cfg Config) {
	log := b.opts.Log
	for _, s := range changes(b.cfg, cfg) {
		if s.kind == restarts {
			log.Warn("this setting changes only with a restart", "setting", s.key)
		} else {
			log.Info("setting is changed", "setting", s.key)
		}
	}
	for _, warning := range cfg.Warnings() {
		if !slices.Contains(b.cfg.Warnings(), warning) {
			log.Warn(warning)
		}
	}
	for _, c := range cfg.Connectors {
		old, known := connectorOf(b.cfg, c.Name)
		changed := changes(old, c)
		switch {
		case !known:
			log.Info("connector is added", "connector", c.Name)
		case len(changed) > 0:
			log.Info("connector is changed", "connector", c.Name, "settings", keysOf(changed))
			if anyOf(changed, restarts) {
				log.Warn("this setting changes only with a restart", "connector", c.Name, "setting", "dedupe_window")
			}
		}
	}
	for _, c := range b.cfg.Connectors {
		if _, stays := connectorOf(cfg, c.Name); !stays {
			ledger := b.parts.lane(c.Name).queue.Ledger()
			log.Warn("connector is removed, its events wait", "connector", c.Name, "pending", ledger.Pending(), "dead", ledger.Dead)
		}
	}
}

func connectorOf(cfg Config, name string) (Connector, bool) {
	i := slices.IndexFunc(cfg.Connectors, func(c Connector) bool { return c.Name == name })
	if i < 0 {
		return Connector{}, false
	}
	return cfg.Connectors[i], true
}

// reloadMetrics count how configurations are received.
type reloadMetrics struct {
	good, refused prometheus.Counter
	last          prometheus.Gauge
}

// newReloadMetrics takes the start of the bridge for the first success.
func newReloadMetrics(to prometheus.Registerer, started time.Time) (*reloadMetrics, error) {
	results := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bridge_config_reloads_total", Help: "Configurations that were read while the bridge ran; refused: the old one stayed in force.",
	}, []string{"result"})
	m := &reloadMetrics{
		good: results.WithLabelValues("ok"), refused: results.WithLabelValues("refused"),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bridge_config_last_reload_success_timestamp_seconds", Help: "When the configuration in force was read, in seconds since 1970.",
		}),
	}
	m.last.Set(seconds(started))
	return m, errors.Join(to.Register(results), to.Register(m.last))
}

func (m *reloadMetrics) count(err error, now time.Time) {
	if err != nil {
		m.refused.Inc()
		return
	}
	m.good.Inc()
	m.last.Set(seconds(now))
}

func seconds(at time.Time) float64 { return float64(at.UnixMilli()) / 1000 }
