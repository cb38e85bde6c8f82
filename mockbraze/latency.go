package mockbraze

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency is how long answers took, in milliseconds, over all requests with
// events since the Current was made. Those without an answer count with the
// time that was waited.
type Latency struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// Second is what one second of a Current's requests was like.
type Second struct {
	At       time.Time `json:"at"`
	Requests int64     `json:"requests"`
	// Failed are those that were not answered 2XX.
	Failed int64 `json:"failed"`
	// Events were answered 2XX.
	Events int64   `json:"events"`
	Mean   float64 `json:"mean_ms"`
	Max    float64 `json:"max_ms"`
}

const (
	// seconds is how many are kept.
	seconds = 120
	// longest is what the histogram holds; more counts as this.
	longest = time.Hour
)

// latencies is guarded by the Connector's lock; its zero value works.
type latencies struct {
	all  *hdrhistogram.Histogram // in microseconds
	ring [seconds]second
}

type second struct {
	unix                     int64
	requests, failed, events int64
	sum, max                 time.Duration
}

func (l *latencies) add(a Answer) {
	if l.all == nil {
		l.all = hdrhistogram.New(1, longest.Microseconds(), 2)
	}
	_ = l.all.RecordValue(min(max(a.Took, time.Microsecond), longest).Microseconds()) // it is in range
	unix := a.At.Add(a.Took).Unix()
	s := &l.ring[unix%seconds]
	if s.unix != unix {
		*s = second{unix: unix}
	}
	s.requests++
	s.sum += a.Took
	s.max = max(s.max, a.Took)
	if judge(a) == accepted {
		s.events += int64(a.Events)
	} else {
		s.failed++
	}
}

func (l *latencies) report() Latency {
	if l.all == nil {
		return Latency{}
	}
	at := func(percent float64) float64 { return float64(l.all.ValueAtQuantile(percent)) / 1000 }
	return Latency{Count: l.all.TotalCount(), P50: at(50), P90: at(90), P99: at(99), Max: float64(l.all.Max()) / 1000}
}

// Seconds are the last two minutes, the oldest first, up to now. Seconds
// without a request are there, and empty.
func (c *Connector) Seconds() []Second {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.server.clock.Now().Unix()
	list := make([]Second, seconds)
	for i := range list {
		unix := now - seconds + 1 + int64(i)
		list[i].At = time.Unix(unix, 0).UTC()
		s := c.latency.ring[unix%seconds]
		if s.unix != unix || s.requests == 0 {
			continue
		}
		list[i].Requests, list[i].Failed, list[i].Events = s.requests, s.failed, s.events
		list[i].Mean = milliseconds(s.sum) / float64(s.requests)
		list[i].Max = milliseconds(s.max)
	}
	return list
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
