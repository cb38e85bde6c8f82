package bridge

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/currentsbridge/currentsbridge/bridge/delivery"
)

type deliveryMetrics struct {
	requests              *prometheus.CounterVec
	events, bytes, halved prometheus.Counter
	duration, latency     prometheus.Histogram

	inFlightEvents, inFlightRequests, compressing prometheus.Gauge
}

func newDeliveryMetrics(to prometheus.Registerer, connector string) *deliveryMetrics {
	with := promauto.With(prometheus.WrapRegistererWith(prometheus.Labels{"connector": connector}, to))
	counter := func(name, help string) prometheus.Counter {
		return with.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return with.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	histogram := func(name, help string, buckets ...float64) prometheus.Histogram {
		return with.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	return &deliveryMetrics{
		requests: with.NewCounterVec(prometheus.CounterOpts{
			Name: "bridge_delivery_requests_total", Help: "Requests to RudderStack, by class of the response; none: there was none.",
		}, []string{"class"}),
		events: counter("bridge_delivery_attempted_events_total", "Events in requests to RudderStack; an event that is sent again counts again."),
		bytes:  counter("bridge_delivery_bytes_total", "Bytes of the bodies of requests to RudderStack, as sent."),
		halved: counter("bridge_delivery_halved_total", "Requests whose events were sent again in two halves, because they are suspected."),
		duration: histogram("bridge_delivery_duration_seconds", "Time from the start of a request to RudderStack to the end of its response, or to giving up.",
			.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30),
		latency: histogram("bridge_delivery_latency_seconds", "Time from the receipt of a batch to RudderStack's 2XX for events of it; each batch counts once for each request that its events were taken in.",
			.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4*3600, 24*3600),
		inFlightEvents:   gauge("bridge_delivery_inflight_events", "Events in requests to RudderStack that have no response yet."),
		inFlightRequests: gauge("bridge_delivery_inflight_requests", "Requests to RudderStack that have no response yet."),
		compressing:      gauge("bridge_delivery_gzip", "1 while bodies are compressed, because RudderStack says that it takes them."),
	}
}

// Began implements delivery.Observer.
func (m *deliveryMetrics) Began(events int) {
	m.inFlightRequests.Inc()
	m.inFlightEvents.Add(float64(events))
}

// Ended implements delivery.Observer.
func (m *deliveryMetrics) Ended(events int) {
	m.inFlightRequests.Dec()
	m.inFlightEvents.Sub(float64(events))
}

// Delivered implements delivery.Observer.
func (m *deliveryMetrics) Delivered(latency time.Duration) { m.latency.Observe(latency.Seconds()) }

// GzipChanged implements delivery.Observer.
func (m *deliveryMetrics) GzipChanged(on bool) {
	value := 0.0
	if on {
		value = 1
	}
	m.compressing.Set(value)
}

// Posted implements delivery.Observer.
func (m *deliveryMetrics) Posted(p delivery.Post) {
	m.requests.WithLabelValues(p.Class).Inc()
	m.events.Add(float64(p.Events))
	m.bytes.Add(float64(p.Bytes))
	m.duration.Observe(p.Latency.Seconds())
	if p.Halved {
		m.halved.Inc()
	}
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
