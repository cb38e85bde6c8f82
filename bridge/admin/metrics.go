package admin

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/currentsbridge/currentsbridge/bridge/delivery"
)

// collector makes metrics of ledgers, destinations, store and build at the moment
// they are asked for. A ledger is read once a scrape, so the sums hold within it.
type collector struct{ *Admin }

// Describe implements prometheus.Collector. It describes nothing, so that the
// registry checks metrics when they are collected.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	for _, connector := range c.shown() {
		c.collect(to, connector)
	}
	u, about := c.cfg.Bridge.Usage(), c.cfg.Bridge.About()
	scrubbed := 0.0
	if !u.Scrubbed.IsZero() {
		scrubbed = float64(u.Scrubbed.UnixMilli()) / 1000
	}
	gauge := func(name, help string, value float64) { metric(to, prometheus.GaugeValue, name, help, value, nil) }
	gauge("bridge_store_scrubbed_timestamp_seconds", "When everything on disk was last read from end to end, in seconds since 1970; 0: not since the start.", scrubbed)
	gauge("bridge_store_bytes", "Disk that the store's files take.", float64(u.Bytes))
	gauge("bridge_store_free_bytes", "What the store's file system still has.", float64(u.Free))
	gauge("bridge_store_limit_bytes", "What the store may take, queue.max_size; 0: all there is.", float64(u.Limit))
	gauge("bridge_store_full", "1 while new batches are refused because there is no room.", truth(u.Full))
	gauge("bridge_store_failed", "1 once nothing can be stored any more because a write failed.", truth(u.Err != nil))
	gauge("bridge_store_away", "1 while the servers that keep the store do not answer; always 0 for the embedded store.", truth(u.Away != nil))
	gauge("bridge_store_damaged_records", "Records set aside since the start because they cannot be read.", float64(u.Damaged))
	metric(to, prometheus.GaugeValue, "bridge_build_info", "Always 1; the labels say which build runs, and with which glossary.", 1,
		prometheus.Labels{"version": about.Version, "glossary": about.Glossary})
}

func (c collector) collect(to chan<- prometheus.Metric, connector Connector) {
	labels := prometheus.Labels{"connector": connector.Name}
	counter := func(name, help string, value uint64) {
		metric(to, prometheus.CounterValue, name, help, float64(value), labels)
	}
	gauge := func(name, help string, value float64) { metric(to, prometheus.GaugeValue, name, help, value, labels) }
	l, destination := connector.Queue.Ledger(), connector.state()
	counter("bridge_events_received_total", "Events of batches that were answered 200; duplicates and accepted.", l.Received)
	counter("bridge_events_duplicates_total", "Events that had been received before.", l.Duplicates)
	counter("bridge_events_accepted_total", "Events stored; filtered, delivered, dead, purged and pending.", l.Accepted)
	counter("bridge_events_filtered_total", "Events that the connector's rules leave out.", l.Filtered)
	counter("bridge_events_delivered_total", "Events that RudderStack has taken.", l.Delivered)
	counter("bridge_events_purged_total", "Dead letters removed for good.", l.Purged)
	counter("bridge_events_replayed_total", "Events of history that were delivered again.", l.Replayed)
	counter("bridge_events_backfilled_total", "Accepted events that come out of storage exports.", l.Backfilled)
	// Replaying makes dead letters pending again, so both go up and down.
	gauge("bridge_events_dead", "Events in the dead letters.", float64(l.Dead))
	gauge("bridge_events_pending", "Events that wait for delivery.", float64(l.Pending()))
	gauge("bridge_events_parked", "Pending events that are suspected: they failed while others were accepted.", float64(destination.Parked))
	gauge("bridge_oldest_pending_age_seconds", "Age of the oldest pending event; 0 where nothing is pending.", waited(l, c.cfg.Now()))
	// Where it cannot be read the store says so in other metrics.
	replay, err := connector.Queue.Replay(context.Background())
	gauge("bridge_replay_active", "1 while history is being delivered again.", truth(err == nil && replay.Active()))
	for _, state := range []string{delivery.StateOK, delivery.StateBackingOff, delivery.StatePaused, delivery.StateMisdirected} {
		metric(to, prometheus.GaugeValue, "bridge_destination_state", "1 for the state that the destination is in: ok, backing-off or paused.",
			truth(state == destination.Name), prometheus.Labels{"connector": connector.Name, "state": state})
	}
}

func metric(to chan<- prometheus.Metric, kind prometheus.ValueType, name, help string, value float64, labels prometheus.Labels) {
	to <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, labels), kind, value)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
