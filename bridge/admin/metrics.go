package admin

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// collector makes metrics of ledgers, destinations and store at the moment they
// are asked for. A ledger is read once a scrape, so the sums hold within it.
type collector struct {
	admin                         *Admin
	ledger                        []ledgerMetric
	store                         []storeMetric
	replay, oldest, state, parked *prometheus.Desc
}

type ledgerMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(queue.Ledger) uint64
}

type storeMetric struct {
	desc  *prometheus.Desc
	value func(queue.Usage) float64
}

func newCollector(a *Admin) *collector {
	c := &collector{
		admin:  a,
		replay: describe("bridge_replay_active", "1 while history is being delivered again.", "connector"),
		oldest: describe("bridge_oldest_pending_age_seconds", "Age of the oldest pending event; 0 where nothing is pending.", "connector"),
		state:  describe("bridge_destination_state", "1 for the state that the destination is in: ok, backing-off or paused.", "connector", "state"),
		parked: describe("bridge_events_parked", "Pending events that are suspected: they failed while others were accepted.", "connector"),
	}
	store := func(name, help string, value func(queue.Usage) float64) {
		c.store = append(c.store, storeMetric{describe(name, help), value})
	}
	store("bridge_store_scrubbed_timestamp_seconds", "When everything on disk was last read from end to end, in seconds since 1970; 0: not since the start.", scrubbedAt)
	store("bridge_store_bytes", "Disk that the store's files take.", func(u queue.Usage) float64 { return float64(u.Bytes) })
	store("bridge_store_free_bytes", "What the store's file system still has.", func(u queue.Usage) float64 { return float64(u.Free) })
	store("bridge_store_limit_bytes", "What the store may take, queue.max_size; 0: all there is.", func(u queue.Usage) float64 { return float64(u.Limit) })
	store("bridge_store_full", "1 while new batches are refused because there is no room.", func(u queue.Usage) float64 { return truth(u.Full) })
	store("bridge_store_failed", "1 once nothing can be stored any more because a write failed.", func(u queue.Usage) float64 { return truth(u.Err != nil) })
	store("bridge_store_away", "1 while the servers that keep the store do not answer; always 0 for the embedded store.", func(u queue.Usage) float64 { return truth(u.Away != nil) })
	store("bridge_store_damaged_records", "Records set aside since the start because they cannot be read.", func(u queue.Usage) float64 { return float64(u.Damaged) })
	ledger := func(kind prometheus.ValueType, name, help string, value func(queue.Ledger) uint64) {
		c.ledger = append(c.ledger, ledgerMetric{describe(name, help, "connector"), kind, value})
	}
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	ledger(counter, "bridge_events_received_total", "Events of batches that were answered 200; duplicates and accepted.", func(l queue.Ledger) uint64 { return l.Received })
	ledger(counter, "bridge_events_duplicates_total", "Events that had been received before.", func(l queue.Ledger) uint64 { return l.Duplicates })
	ledger(counter, "bridge_events_accepted_total", "Events stored; filtered, delivered, dead, purged and pending.", func(l queue.Ledger) uint64 { return l.Accepted })
	ledger(counter, "bridge_events_filtered_total", "Events that the connector's rules leave out.", func(l queue.Ledger) uint64 { return l.Filtered })
	ledger(counter, "bridge_events_delivered_total", "Events that RudderStack has taken.", func(l queue.Ledger) uint64 { return l.Delivered })
	ledger(counter, "bridge_events_purged_total", "Dead letters removed for good.", func(l queue.Ledger) uint64 { return l.Purged })
	ledger(counter, "bridge_events_replayed_total", "Events of history that were delivered again.", func(l queue.Ledger) uint64 { return l.Replayed })
	ledger(counter, "bridge_events_backfilled_total", "Accepted events that come out of storage exports.", func(l queue.Ledger) uint64 { return l.Backfilled })
	// Replaying makes dead letters pending again, so both go up and down.
	ledger(gauge, "bridge_events_dead", "Events in the dead letters.", func(l queue.Ledger) uint64 { return l.Dead })
	ledger(gauge, "bridge_events_pending", "Events that wait for delivery.", queue.Ledger.Pending)
	return c
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Describe implements prometheus.Collector. It describes nothing, so that the
// registry checks metrics when they are collected.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, connector := range c.admin.shown() {
		l := connector.Queue.Ledger()
		for _, m := range c.ledger {
			to <- prometheus.MustNewConstMetric(m.desc, m.kind, float64(m.value(l)), connector.Name)
		}
		gauge(c.oldest, waited(l, c.admin.cfg.Now()), connector.Name)
		// Where it cannot be read the store says so in other metrics.
		replay, err := connector.Queue.Replay(context.Background())
		gauge(c.replay, truth(err == nil && replay.Active()), connector.Name)
		destination := connector.state()
		gauge(c.parked, float64(destination.Parked), connector.Name)
		for _, state := range []string{delivery.StateOK, delivery.StateBackingOff, delivery.StatePaused, delivery.StateMisdirected} {
			gauge(c.state, truth(state == destination.Name), connector.Name, state)
		}
	}
	usage := c.admin.cfg.Bridge.Usage()
	for _, m := range c.store {
		gauge(m.desc, m.value(usage))
	}
}

func scrubbedAt(u queue.Usage) float64 {
	if u.Scrubbed.IsZero() {
		return 0
	}
	return float64(u.Scrubbed.UnixMilli()) / 1000
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
