package load

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The histograms count microseconds, from one to a day.
const (
	lowest  = 1
	highest = int64(24 * time.Hour / time.Microsecond)
)

// newHistogram keeps so many digits of a value: 3 for what is reported (200 KB),
// 2 for a second of it (30 KB).
func newHistogram(digits int) *hdrhistogram.Histogram {
	return hdrhistogram.New(lowest, highest, digits)
}

// record cannot fail: the value is brought into the range.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d.Microseconds(), lowest), highest))
}

// times are the two latencies of batches that were answered, or given up.
type times struct{ service, intended *hdrhistogram.Histogram }

func newTimes(digits int) times { return times{newHistogram(digits), newHistogram(digits)} }

func (t times) reset() {
	t.service.Reset()
	t.intended.Reset()
}

func (t times) merge(from times) {
	t.service.Merge(from.service)
	t.intended.Merge(from.intended)
}

// tally counts what happened. Events and batches are those that were begun.
type tally struct {
	sent, acked, refused, failed uint64 // events
	dead                         uint64 // events, of acked
	started, late                uint64 // batches
}

func (t *tally) add(o tally) {
	t.sent += o.sent
	t.acked += o.acked
	t.dead += o.dead
	t.refused += o.refused
	t.failed += o.failed
	t.started += o.started
	t.late += o.late
}

// figures are what conditions are judged by.
type figures struct {
	tally
	times
	rated    uint64 // events sent in the seconds, whenever they were due
	planned  uint64 // batches that were to start
	dropped  uint64 // batches
	seconds  float64
	verified *Verification
}

// value is the figure that a condition is about: milliseconds, a count, or a
// share in percent. ok is false where there is none.
func (f *figures) value(c Condition) (v float64, ok bool) {
	if kindOf(c.name) == latency {
		h, name := f.intended, c.name
		if len(name) > 8 && name[:8] == "service_" {
			h, name = f.service, name[8:]
		}
		return quantile(h, name), h.TotalCount() > 0
	}
	var count, of uint64
	switch c.name {
	case "errors":
		count, of = f.refused+f.failed, f.sent
	case "late":
		count, of = f.late, f.planned
	case "dropped":
		count, of = f.dropped, f.planned
	case "acked":
		count, of = f.acked, f.sent
	case "rate":
		return float64(f.rated) / f.seconds, f.seconds > 0
	default: // lost, duplicated
		if f.verified == nil || f.verified.Problem != "" {
			return 0, false
		}
		count, of = f.verified.Lost, f.verified.Acked
		if c.name == "duplicated" {
			count = f.verified.Duplicated
		}
	}
	if c.percent {
		return 100 * float64(count) / float64(of), of > 0
	}
	return float64(count), true
}

// missing says why there is no figure.
func (f *figures) missing(c Condition) string {
	if c.about("lost", "duplicated") && f.verified != nil {
		return "not known: " + f.verified.Problem
	}
	return "nothing was measured"
}

// quantile is a latency in milliseconds, 0 where there is none.
func quantile(h *hdrhistogram.Histogram, name string) float64 {
	var us float64
	switch name {
	case "max":
		us = float64(h.Max())
	case "mean":
		us = h.Mean()
	case "p50":
		us = float64(h.ValueAtQuantile(50))
	case "p90":
		us = float64(h.ValueAtQuantile(90))
	case "p95":
		us = float64(h.ValueAtQuantile(95))
	case "p99":
		us = float64(h.ValueAtQuantile(99))
	case "p999":
		us = float64(h.ValueAtQuantile(99.9))
	}
	if h.TotalCount() == 0 || math.IsNaN(us) {
		return 0
	}
	return us / 1000
}
