package admin

import (
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// A sample is taken of each connector every sampleEvery; the last hour is kept.
const (
	sampleEvery = 10 * time.Second
	maxSamples  = int(time.Hour / sampleEvery)
)

// The histograms in the registry that latencies are taken from.
const (
	ackHistogram      = "bridge_ack_duration_seconds"
	deliveryHistogram = "bridge_delivery_latency_seconds"
)

// Sample is what a connector did in the seconds before At.
type Sample struct {
	At       int64    `json:"at"`      // seconds since 1970
	In       float64  `json:"in"`      // events accepted, a second
	Out      float64  `json:"out"`     // events delivered, a second
	Pending  uint64   `json:"pending"` // events, then
	Dead     uint64   `json:"dead"`    // events, then
	Ack      *Latency `json:"ack,omitempty"`
	Delivery *Latency `json:"delivery,omitempty"` // from receipt to RudderStack's 2XX
}

// Latency has quantiles in seconds, as exact as the buckets of the metric are.
type Latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

type reading struct {
	at            time.Time
	in, out       uint64
	ack, delivery *dto.Histogram // nil: nothing is counted
}

type samples struct {
	mu   sync.Mutex
	last map[string]reading
	kept map[string][]Sample // the oldest first
}

func (s *samples) take(a *Admin) {
	histograms, now := histograms(a), a.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	last, kept := map[string]reading{}, map[string][]Sample{}
	for _, c := range a.shown() {
		l := c.Queue.Ledger()
		is := reading{now, l.Accepted, l.Delivered, histograms[ackHistogram+c.Name], histograms[deliveryHistogram+c.Name]}
		was, known := s.last[c.Name]
		last[c.Name], kept[c.Name] = is, s.kept[c.Name]
		seconds := now.Sub(was.at).Seconds()
		if !known || seconds <= 0 {
			continue
		}
		list := append(kept[c.Name], Sample{
			At: now.Unix(), Pending: l.Pending(), Dead: l.Dead,
			In: float64(is.in-min(is.in, was.in)) / seconds, Out: float64(is.out-min(is.out, was.out)) / seconds,
			Ack: latency(was.ack, is.ack), Delivery: latency(was.delivery, is.delivery),
		})
		kept[c.Name] = list[max(0, len(list)-maxSamples):]
	}
	s.last, s.kept = last, kept
}

func histograms(a *Admin) map[string]*dto.Histogram {
	families, err := a.cfg.Registry.Gather()
	if err != nil { // what could be read is there
		a.cfg.Log.Debug("not all metrics can be read", "error", err)
	}
	all := map[string]*dto.Histogram{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if label.GetName() == "connector" {
					all[family.GetName()+label.GetValue()] = m.GetHistogram()
				}
			}
		}
	}
	return all
}

// latency returns that of what was counted between two readings; nil: nothing was.
func latency(was, is *dto.Histogram) *Latency {
	if is.GetSampleCount() <= was.GetSampleCount() {
		return nil
	}
	return &Latency{quantile(was, is, 0.5), quantile(was, is, 0.99)}
}

// quantile goes through the buckets as Prometheus' histogram_quantile does: even
// within a bucket, and the highest bound for what is beyond it.
func quantile(was, is *dto.Histogram, q float64) float64 {
	rank := q * float64(is.GetSampleCount()-was.GetSampleCount())
	low, below := 0.0, 0.0
	for i, bucket := range is.GetBucket() {
		count := float64(bucket.GetCumulativeCount())
		if was != nil && i < len(was.GetBucket()) {
			count -= float64(was.GetBucket()[i].GetCumulativeCount())
		}
		if count >= rank && count > below {
			return low + (bucket.GetUpperBound()-low)*(rank-below)/(count-below)
		}
		low, below = bucket.GetUpperBound(), count
	}
	return low
}

// of returns the samples of a connector. They are not changed any more.
func (s *samples) of(connector string) []Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Sample{}, s.kept[connector]...)
}
