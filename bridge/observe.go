package bridge

import (
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
}

func newPostMetrics(to prometheus.Registerer) (*postMetrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &postMetrics{
		requests: counter("bridge_delivery_requests_total", "Requests to RudderStack, by class of the answer; none: there was no answer.", "connector", "class"),
		events:   counter("bridge_delivery_attempted_events_total", "Events in requests to RudderStack; an event that is sent again counts again.", "connector"),
		bytes:    counter("bridge_delivery_bytes_total", "Bytes of the bodies of requests to RudderStack.", "connector"),
		halved:   counter("bridge_delivery_halved_total", "Requests whose events were sent again in two halves, after 400 or 413.", "connector"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "bridge_delivery_duration_seconds",
			Help:    "Time from the start of a request to RudderStack to the end of its answer, or to giving up.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"connector"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.events, m.bytes, m.halved, m.duration} {
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
	}
}

type postObserver struct {
	requests              *prometheus.CounterVec
	events, bytes, halved prometheus.Counter
	duration              prometheus.Observer
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
