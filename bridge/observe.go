package bridge

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/currentsbridge/currentsbridge/bridge/delivery"
)

// postMetrics counts the requests to RudderStack.
type postMetrics struct {
	requests *prometheus.CounterVec
	events   *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	halved   *prometheus.CounterVec
	duration *prometheus.HistogramVec
	latency  *prometheus.HistogramVec

	inFlightEvents, inFlightRequests, packing *prometheus.GaugeVec
}

func newPostMetrics(to prometheus.Registerer) (*postMetrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"connector"})
	}
	m := &postMetrics{
		requests: counter("bridge_delivery_requests_total", "Requests to RudderStack, by class of the answer; none: there was no answer.", "connector", "class"),
		events:   counter("bridge_delivery_attempted_events_total", "Events in requests to RudderStack; an event that is sent again counts again.", "connector"),
		bytes:    counter("bridge_delivery_bytes_total", "Bytes of the bodies of requests to RudderStack, as sent.", "connector"),
		halved:   counter("bridge_delivery_halved_total", "Requests whose events were sent again in two halves, because they are suspected.", "connector"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "bridge_delivery_duration_seconds",
			Help:    "Time from the start of a request to RudderStack to the end of its answer, or to giving up.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"connector"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "bridge_delivery_latency_seconds",
			Help:    "Time from the receipt of a batch to RudderStack's 2XX for events of it; each batch counts once for each request that its events were taken in.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600},
		}, []string{"connector"}),
		inFlightEvents:   gauge("bridge_delivery_inflight_events", "Events in requests to RudderStack that have no answer yet."),
		inFlightRequests: gauge("bridge_delivery_inflight_requests", "Requests to RudderStack that have no answer yet."),
		packing:          gauge("bridge_delivery_gzip", "1 while bodies are packed, because RudderStack says that it takes them."),
	}
	for _, c := range []prometheus.Collector{
		m.requests, m.events, m.bytes, m.halved, m.duration, m.latency, m.inFlightEvents, m.inFlightRequests, m.packing,
	} {
		if err := to.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// of returns the observer of one connector.
func (m *postMetrics) of(connector string) delivery.Observer {
	return &postObserver{
		requests: m.requests.MustCurryWith(prometheus.Labels{"connector": connector}),
		events:   m.events.WithLabelValues(connector),
		bytes:    m.bytes.WithLabelValues(connector),
		halved:   m.halved.WithLabelValues(connector),
		duration: m.duration.WithLabelValues(connector),
		latency:  m.latency.WithLabelValues(connector),

		inFlightEvents:   m.inFlightEvents.WithLabelValues(connector),
		inFlightRequests: m.inFlightRequests.WithLabelValues(connector),
		packing:          m.packing.WithLabelValues(connector),
	}
}

type postObserver struct {
	requests              *prometheus.CounterVec
	events, bytes, halved prometheus.Counter
	duration, latency     prometheus.Observer

	inFlightEvents, inFlightRequests, packing prometheus.Gauge
}

// Began implements delivery.Observer.
func (o *postObserver) Began(events int) {
	o.inFlightRequests.Inc()
	o.inFlightEvents.Add(float64(events))
}

// Ended implements delivery.Observer.
func (o *postObserver) Ended(events int) {
	o.inFlightRequests.Dec()
	o.inFlightEvents.Sub(float64(events))
}

// Delivered implements delivery.Observer.
func (o *postObserver) Delivered(latency time.Duration) { o.latency.Observe(latency.Seconds()) }

// GzipChanged implements delivery.Observer.
func (o *postObserver) GzipChanged(on bool) {
	if on {
		o.packing.Set(1)
	} else {
		o.packing.Set(0)
	}
}

// Posted implements delivery.Observer.
func (o *postObserver) Posted(p delivery.Post) {
	o.requests.WithLabelValues(p.Class).Inc()
	o.events.Add(float64(p.Events))
	o.bytes.Add(float64(p.Bytes))
	o.duration.Observe(p.Latency.Seconds())
	if p.Halved {
		o.halved.Inc()
	}
}

// StateChanged implements delivery.Observer; the state is read when it is asked for.
func (o *postObserver) StateChanged(delivery.State) {}
