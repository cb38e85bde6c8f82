package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/currentsbridge/currentsbridge/bridge/config"
)

// ErrNotRunning means that a bridge does not run: not yet, or not any more.
var ErrNotRunning = errors.New("the bridge is not running")

// Reload replaces the configuration that is in force by cfg, without losing a
// request or an event. Connectors may be added, removed and changed; the others are
// not interrupted. Where a connector's delivery changes, its sender ends as at
// shutdown, within the grace, and a new one continues, while intake goes on. The
// events of a removed connector stay on disk until it is added again. A setting that
// needs a restart does not change and is named in the log.
//
// On an error, such as a *config.Error or that of reading cfg, which is passed in, nothing
// has changed. It is logged, a line for each mistake, and counted. Before Run is ready and
// after it began to stop the error is ErrNotRunning.
func (b *Bridge) Reload(ctx context.Context, cfg config.Config, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.components == nil {
		return ErrNotRunning
	}
	if err == nil {
		err = b.apply(ctx, cfg)
	}
	b.components.reloads.count(err)
	log := b.opts.Log
	if err == nil {
		log.Info("configuration is reloaded", "connectors", len(b.cfg.Connectors))
		return nil
	}
	reason := err.Error()
	if wrong := (*config.Error)(nil); errors.As(err, &wrong) {
		for _, mistake := range wrong.Mistakes {
			log.Error("mistake in the configuration", "mistake", mistake.String())
		}
		reason = fmt.Sprintf("%d mistakes", len(wrong.Mistakes))
	}
	log.Error("configuration is refused, the old one stays in force", "error", reason)
	return err
}

// apply puts cfg into force, but for what only a restart changes.
func (b *Bridge) apply(ctx context.Context, cfg config.Config) error {
	if err := cfg.Check(); err != nil {
		return err
	}
	// Of the bridge's own settings, what is not in force differs again next time.
	inForce := b.cfg
	inForce.AdminToken, inForce.AdminHosts, inForce.Open, inForce.Connectors = cfg.AdminToken, cfg.AdminHosts, cfg.Open, cfg.Connectors
	inForce.Glossary = cfg.Glossary
	if err := b.components.put(ctx, inForce); err != nil {
		return err
	}
	b.logChanges(cfg)
	b.cfg = inForce
	return nil
}

func (b *Bridge) logChanges(cfg config.Config) {
	log := b.opts.Log
	for _, change := range config.Changes(b.cfg, cfg) {
		if change.Effect == config.Restart {
			log.Warn("this setting changes only with a restart", "setting", change.Key)
		} else {
			log.Info("setting is changed", "setting", change.Key)
		}
	}
	before := b.cfg.Warnings()
	for _, warning := range cfg.Warnings() {
		if !slices.Contains(before, warning) {
			log.Warn(warning)
		}
	}
	for _, c := range cfg.Connectors {
		old, known := connectorOf(b.cfg, c.Name)
		if !known {
			log.Info("connector is added", "connector", c.Name)
			continue
		}
		changed := old.Changes(c)
		if len(changed) > 0 {
			log.Info("connector is changed", "connector", c.Name, "settings", config.Keys(changed))
		}
		for _, change := range changed {
			if change.Effect == config.Restart {
				log.Warn("this setting changes only with a restart", "connector", c.Name, "setting", change.Key)
			}
		}
	}
	for _, c := range b.cfg.Connectors {
		if _, stays := connectorOf(cfg, c.Name); !stays {
			ledger := b.components.connector(c.Name).queue.Ledger()
			log.Warn("connector is removed, its events wait", "connector", c.Name, "pending", ledger.Pending(), "dead", ledger.Dead)
		}
	}
}

func connectorOf(cfg config.Config, name string) (config.Connector, bool) {
	i := slices.IndexFunc(cfg.Connectors, func(c config.Connector) bool { return c.Name == name })
	if i < 0 {
		return config.Connector{}, false
	}
	return cfg.Connectors[i], true
}

type reloadMetrics struct {
	good, refused prometheus.Counter
	last          prometheus.Gauge
}

// newReloadMetrics takes the start of the bridge for the first success.
func newReloadMetrics(to prometheus.Registerer) *reloadMetrics {
	results := promauto.With(to).NewCounterVec(prometheus.CounterOpts{
		Name: "bridge_config_reloads_total", Help: "Configurations that were read while the bridge ran; refused: the old one stayed in force.",
	}, []string{"result"})
	m := &reloadMetrics{
		good: results.WithLabelValues("ok"), refused: results.WithLabelValues("refused"),
		last: promauto.With(to).NewGauge(prometheus.GaugeOpts{
			Name: "bridge_config_last_reload_success_timestamp_seconds", Help: "When the configuration in force was read, in seconds since 1970.",
		}),
	}
	m.last.SetToCurrentTime()
	return m
}

func (m *reloadMetrics) count(err error) {
	if err != nil {
		m.refused.Inc()
		return
	}
	m.good.Inc()
	m.last.SetToCurrentTime()
}
