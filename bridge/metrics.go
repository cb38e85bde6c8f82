package bridge

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/internal/cli"
)

// buildInfo is the metric that says which build runs, with which glossary.
type buildInfo struct{ p *components }

// Describe implements prometheus.Collector. It describes nothing, so that the
// registry checks the metric when it is collected.
func (buildInfo) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (b buildInfo) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.MustNewConstMetric(prometheus.NewDesc("bridge_build_info", "Always 1; the labels say which build runs, and with which glossary.",
		[]string{"version", "glossary"}, nil), prometheus.GaugeValue, 1, cli.Version(), b.p.glossary.Load().Version())
}

// deliveryMetrics counts the requests to RudderStack.
type deliveryMetrics struct {
	requests *prometheus.CounterVec
	events   *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	halved   *prometheus.CounterVec
	duration *prometheus.HistogramVec
	latency  *prometheus.HistogramVec

	inFlightEvents, inFlightRequests, compressing *prometheus.GaugeVec
}

func newDeliveryMetrics(to prometheus.Registerer) *deliveryMetrics {
	with := promauto.With(to)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return with.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return with.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"connector"})
	}
	histogram := func(name, help string, buckets ...float64) *prometheus.HistogramVec {
		return with.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, []string{"connector"})
	}
	return &deliveryMetrics{
		requests: counter("bridge_delivery_requests_total", "Requests to RudderStack, by class of the response; none: there was none.", "connector", "class"),
		events:   counter("bridge_delivery_attempted_events_total", "Events in requests to RudderStack; an event that is sent again counts again.", "connector"),
		bytes:    counter("bridge_delivery_bytes_total", "Bytes of the bodies of requests to RudderStack, as sent.", "connector"),
		halved:   counter("bridge_delivery_halved_total", "Requests whose events were sent again in two halves, because they are suspected.", "connector"),
		duration: histogram("bridge_delivery_duration_seconds", "Time from the start of a request to RudderStack to the end of its response, or to giving up.",
			.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30),
		latency: histogram("bridge_delivery_latency_seconds", "Time from the receipt of a batch to RudderStack's 2XX for events of it; each batch counts once for each request that its events were taken in.",
			.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4*3600, 24*3600),
		inFlightEvents:   gauge("bridge_delivery_inflight_events", "Events in requests to RudderStack that have no response yet."),
		inFlightRequests: gauge("bridge_delivery_inflight_requests", "Requests to RudderStack that have no response yet."),
		compressing:      gauge("bridge_delivery_gzip", "1 while bodies are compressed, because RudderStack says that it takes them."),
	}
}

// of returns the observer of one connector.
func (m *deliveryMetrics) of(connector string) delivery.Observer {
	return &deliveryObserver{
		requests: m.requests.MustCurryWith(prometheus.Labels{"connector": connector}),
		events:   m.events.WithLabelValues(connector),
		bytes:    m.bytes.WithLabelValues(connector),
		halved:   m.halved.WithLabelValues(connector),
		duration: m.duration.WithLabelValues(connector),
		latency:  m.latency.WithLabelValues(connector),

		inFlightEvents:   m.inFlightEvents.WithLabelValues(connector),
		inFlightRequests: m.inFlightRequests.WithLabelValues(connector),
		compressing:      m.compressing.WithLabelValues(connector),
	}
}

type deliveryObserver struct {
	requests              *prometheus.CounterVec
	events, bytes, halved prometheus.Counter
	duration, latency     prometheus.Observer

	inFlightEvents, inFlightRequests, compressing prometheus.Gauge
}

// Began implements delivery.Observer.
func (o *deliveryObserver) Began(events int) {
	o.inFlightRequests.Inc()
	o.inFlightEvents.Add(float64(events))
}

// Ended implements delivery.Observer.
func (o *deliveryObserver) Ended(events int) {
	o.inFlightRequests.Dec()
	o.inFlightEvents.Sub(float64(events))
}

// Delivered implements delivery.Observer.
func (o *deliveryObserver) Delivered(latency time.Duration) { o.latency.Observe(latency.Seconds()) }

// GzipChanged implements delivery.Observer.
func (o *deliveryObserver) GzipChanged(on bool) {
	if on {
		o.compressing.Set(1)
	} else {
		o.compressing.Set(0)
	}
}

// Posted implements delivery.Observer.
func (o *deliveryObserver) Posted(p delivery.Post) {
	o.requests.WithLabelValues(p.Class).Inc()
	o.events.Add(float64(p.Events))
	o.bytes.Add(float64(p.Bytes))
	o.duration.Observe(p.Latency.Seconds())
	if p.Halved {
		o.halved.Inc()
	}
}

// reloadMetrics count how configurations are received.
type reloadMetrics struct {
	good, refused prometheus.Counter
	last          prometheus.Gauge
}

// newReloadMetrics takes the start of the bridge for the first success.
func newReloadMetrics(to prometheus.Registerer, started time.Time) *reloadMetrics {
	results := promauto.With(to).NewCounterVec(prometheus.CounterOpts{
		Name: "bridge_config_reloads_total", Help: "Configurations that were read while the bridge ran; refused: the old one stayed in force.",
	}, []string{"result"})
	m := &reloadMetrics{
		good: results.WithLabelValues("ok"), refused: results.WithLabelValues("refused"),
		last: promauto.With(to).NewGauge(prometheus.GaugeOpts{
			Name: "bridge_config_last_reload_success_timestamp_seconds", Help: "When the configuration in force was read, in seconds since 1970.",
		}),
	}
	m.last.Set(seconds(started))
	return m
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
