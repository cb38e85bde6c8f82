package intake

import (
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics counts what no ledger holds: requests, time and memory.
type metrics struct {
	requests, bytes, changed, version *prometheus.CounterVec

	ack     *prometheus.HistogramVec
	reading prometheus.Gauge
}

type connectorMetrics struct {
	ok, bytes, changed, version prometheus.Counter
	ack                         prometheus.Observer
}

func newMetrics(to prometheus.Registerer, in *Intake) *metrics {
	with := promauto.With(to)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return with.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, value *atomic.Int64) {
		with.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value.Load()) })
	}
	gauge("bridge_request_buffer_bytes", "Memory taken by the bodies of requests in flight.", &in.buffers.used)
	gauge("bridge_requests_in_flight", "Requests with a good token that have not ended.", &in.inFlight)
	if to != nil {
		to.MustRegister(tokenMetrics{in})
	}
	return &metrics{
		requests: counter("bridge_requests_total", "Responses on the public address, by status; connector is empty where none was meant.", "connector", "code"),
		bytes:    counter("bridge_received_bytes_total", "Bytes of the bodies of requests with the response 200, uncompressed.", "connector"),
		changed:  counter("bridge_webhook_changed_events_total", "Events of connectors in webhook mode in which RudderStack's own Braze source changes something.", "connector"),
		version:  counter("bridge_unknown_version_requests_total", "Requests with a Braze-Currents-Version other than 1.", "connector"),
		ack: with.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "bridge_ack_duration_seconds",
			Help:    "Time from the end of a request's headers to its response, for requests that brought events and got 200.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"connector"}),
		reading: with.NewGauge(prometheus.GaugeOpts{Name: "bridge_requests_reading", Help: "Requests whose body is being read."}),
	}
}

func (m *metrics) of(connector string) connectorMetrics {
	return connectorMetrics{
		ok: m.requests.WithLabelValues(connector, strconv.Itoa(http.StatusOK)), bytes: m.bytes.WithLabelValues(connector),
		changed: m.changed.WithLabelValues(connector), version: m.version.WithLabelValues(connector), ack: m.ack.WithLabelValues(connector),
	}
}

func (m *metrics) responded(to *connector, status int) {
	if to != nil && status == http.StatusOK {
		to.metrics.ok.Inc() // saves the search by labels
		return
	}
	m.requests.WithLabelValues(nameOf(to), strconv.Itoa(status)).Inc()
}

type tokenMetrics struct{ in *Intake }

var (
	tokenRequests = prometheus.NewDesc("bridge_token_requests_total", "Requests that had this token, by its position among the connector's tokens, since the start.", []string{"connector", "token"}, nil)
	tokenLastUse  = prometheus.NewDesc("bridge_token_last_used_timestamp_seconds", "When a request had this token last, in seconds since 1970; absent: not since the start.", []string{"connector", "token"}, nil)
)

// Describe implements prometheus.Collector.
func (t tokenMetrics) Describe(to chan<- *prometheus.Desc) { to <- tokenRequests; to <- tokenLastUse }

// Collect implements prometheus.Collector.
func (t tokenMetrics) Collect(to chan<- prometheus.Metric) {
	for _, token := range t.in.table.Load().tokens {
		labels := []string{token.owner.Name, strconv.Itoa(token.position)}
		to <- prometheus.MustNewConstMetric(tokenRequests, prometheus.CounterValue, float64(token.use.requests.Load()), labels...)
		if last := token.use.last.Load(); last != 0 {
			to <- prometheus.MustNewConstMetric(tokenLastUse, prometheus.GaugeValue, float64(last/1e6)/1000, labels...)
		}
	}
}
