package delivery

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts what is sent for one connector, over all of its Senders. Make it with
// NewMetrics. It is safe for concurrent use.
type Metrics struct {
	requests              *prometheus.CounterVec
	events, bytes, halved prometheus.Counter
	duration, latency     prometheus.Histogram

	inFlightEvents, inFlightRequests, compressing prometheus.Gauge
}

// NewMetrics returns the metrics of a connector, which it registers; to may be nil.
func NewMetrics(to prometheus.Registerer, connector string) *Metrics {
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
	return &Metrics{
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

// inFlight counts requests that begin, or, with negative numbers, that have ended.
func (m *Metrics) inFlight(requests, events int) {
	m.inFlightRequests.Add(float64(requests))
	m.inFlightEvents.Add(float64(events))
}
