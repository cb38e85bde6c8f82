package load

import (
	"cmp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// highest is the most microseconds that the histograms count, from 1: a day.
const highest = int64(24 * time.Hour / time.Microsecond)

// newHistogram keeps so many digits of a value: 3 for what is reported (200 KB),
// 2 for a second of it (30 KB).
func newHistogram(digits int) *hdrhistogram.Histogram {
	return hdrhistogram.New(1, highest, digits)
}

// record cannot fail: the value is brought into the range.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d.Microseconds(), 1), highest))
}

// percentile is a latency in milliseconds, 0 where nothing was recorded.
func percentile(h *hdrhistogram.Histogram, p float64) float64 {
	if h.TotalCount() == 0 {
		return 0
	}
	return float64(h.ValueAtPercentile(p)) / 1000
}

// times are the two latencies of batches that were answered, or given up.
type times struct{ service, intended *hdrhistogram.Histogram }

func newTimes(digits int) times { return times{newHistogram(digits), newHistogram(digits)} }

// tally counts what happened. Events and batches are those that were begun.
type tally struct {
	EventCounts
	started, late uint64 // batches
}

func (t *tally) add(o tally) {
	t.Sent += o.Sent
	t.Acked += o.Acked
	t.Dead += o.Dead
	t.Refused += o.Refused
	t.Failed += o.Failed
	t.started += o.started
	t.late += o.late
}

// lateAfter is how much later than its instant a batch may start.
const lateAfter = 100 * time.Millisecond

// Second is one second of a run.
type Second struct {
	At         int               `json:"t"`      // seconds from the start
	Wanted     float64           `json:"wanted"` // events a second
	Sent       uint64            `json:"sent"`   // events of the batches that started
	Acked      uint64            `json:"acked"`  // events of the batches that were answered 2XX
	Late       uint64            `json:"late"`   // batches
	Statuses   map[string]uint64 `json:"status"` // batches by answer; "0" is none
	P50        float64           `json:"p50"`    // from the intended instant, in ms, of the batches that ended
	P99        float64           `json:"p99"`
	ServiceP50 float64           `json:"service_p50"` // from the start
	ServiceP99 float64           `json:"service_p99"`
	// Waiting is how long the oldest batch without an answer had waited at the end
	// of the second, from its instant, in ms.
	Waiting float64 `json:"waiting"`
	WarmUp  bool    `json:"warm_up,omitempty"`
}

// recorder counts what workers did. Instants are from the start of the run.
type recorder struct {
	wanted func(time.Duration) float64
	warmUp time.Duration

	mu       sync.Mutex
	measured tally
	warm     tally
	rated    tally // of the batches that began after the warm-up, whenever they were due
	times    times
	statuses map[string]uint64
	failures map[string]uint64
	refused  []Refusal
	current  Second
	span     times                     // of the current second
	window   []*hdrhistogram.Histogram // of the seconds before, from the intended instant
	series   []Second

	inFlight  map[*batch]bool
	lastStart time.Duration
	finished  bool
}

func newRecorder(wanted func(time.Duration) float64, warmUp time.Duration) *recorder {
	r := &recorder{
		wanted: wanted, warmUp: warmUp, times: newTimes(3), inFlight: map[*batch]bool{},
		statuses: map[string]uint64{}, failures: map[string]uint64{}, refused: []Refusal{},
	}
	r.open(0)
	return r
}

// batch is one batch, in flight or answered.
type batch struct {
	number  uint64
	typ     string
	events  int
	warm    bool          // not in the figures
	due     time.Duration // its instant
	start   time.Duration
	done    time.Duration
	status  int
	dead    int    // events that the answer says went to the dead letters
	failure string // where there was no answer
	says    string // how the answer begins, where the batch was refused
}

func (r *recorder) began(b *batch) {
	t := tally{EventCounts{Sent: uint64(b.events)}, 1, 0}
	if b.start-b.due > lateAfter {
		t.late = 1
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(b.start)
	r.lastStart = max(r.lastStart, b.start)
	r.inFlight[b] = true
	r.book(b, t)
}

func (r *recorder) ended(b *batch) {
	t := outcome(b)
	status := strconv.Itoa(b.status)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(b.done)
	delete(r.inFlight, b)
	r.book(b, t)
	r.current.Statuses[status]++
	record(r.span.service, b.done-b.start)
	record(r.span.intended, b.done-b.due)
	for s := int(b.due / time.Second); s < len(r.series); s++ {
		waited := time.Duration(s+1)*time.Second - b.due
		r.series[s].Waiting = max(r.series[s].Waiting, float64(waited)/float64(time.Millisecond))
	}
	if b.warm {
		return
	}
	record(r.times.service, b.done-b.start)
	record(r.times.intended, b.done-b.due)
	if b.failure != "" {
		r.failures[b.failure]++
	} else {
		r.statuses[status]++
	}
	if t.Refused > 0 {
		i := slices.IndexFunc(r.refused, func(f Refusal) bool { return f.Type == b.typ && f.Status == b.status })
		if i < 0 {
			i = len(r.refused)
			r.refused = append(r.refused, Refusal{Type: b.typ, Status: b.status, Answer: b.says})
		}
		r.refused[i].Batches++
		r.refused[i].Events += t.Refused
	}
}

// Refusal counts the batches of one event type that were refused with one status.
type Refusal struct {
	Type    string `json:"event_type"`
	Status  int    `json:"status"`
	Batches uint64 `json:"batches"`
	Events  uint64 `json:"events"`
	Answer  string `json:"answer"` // how the first of these answers begins
}

func outcome(b *batch) tally {
	n := uint64(b.events)
	switch {
	case b.status >= 200 && b.status <= 299:
		return tally{EventCounts: EventCounts{Acked: n, Dead: uint64(b.dead)}}
	case b.status == 0:
		return tally{EventCounts: EventCounts{Failed: n}}
	default:
		return tally{EventCounts: EventCounts{Refused: n}}
	}
}

func (r *recorder) book(b *batch, t tally) {
	r.current.Sent += t.Sent
	r.current.Acked += t.Acked
	r.current.Late += t.late
	if b.warm {
		r.warm.add(t)
	} else {
		r.measured.add(t)
	}
	if b.start >= r.warmUp {
		r.rated.add(t)
	}
}

// finish closes the last second, and sorts the refusals, those of the most events
// first. Nothing is counted afterwards, so that the counts may be read without a lock.
func (r *recorder) finish(at time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(at)
	r.close()
	r.finished = true
	slices.SortFunc(r.refused, func(a, b Refusal) int {
		return cmp.Or(cmp.Compare(b.Events, a.Events), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Status, b.Status))
	})
}

func (r *recorder) advance(to time.Duration) {
	if r.finished {
		return
	}
	for second := int(to / time.Second); r.current.At < second; {
		r.close()
	}
}

// close puts the current second into the series and the window, and opens the next.
func (r *recorder) close() {
	s := r.current
	s.P50, s.P99 = percentile(r.span.intended, 50), percentile(r.span.intended, 99)
	s.ServiceP50, s.ServiceP99 = percentile(r.span.service, 50), percentile(r.span.service, 99)
	r.series = append(r.series, s)
	r.window = append(r.window, r.span.intended)
	r.window = r.window[max(0, len(r.window)-10):] // the live line looks ten seconds back
	r.open(s.At + 1)
}

func (r *recorder) open(second int) {
	at := time.Duration(second) * time.Second
	r.current = Second{At: second, Wanted: r.wanted(at + time.Second/2), Statuses: map[string]uint64{}, WarmUp: at < r.warmUp}
	r.span = newTimes(2)
}

// state returns all counts so far, warm-up included; the latencies, from the intended
// instant, of the last whole seconds and the current one; and the events a second sent
// in the last two whole seconds. Batches in flight count with their wait so far, so that
// a target that never answers shows.
func (r *recorder) state(at time.Duration) (all tally, recent *hdrhistogram.Histogram, rate float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(at)
	all, recent = r.measured, newHistogram(2)
	all.add(r.warm)
	for _, h := range append(r.window, r.span.intended) {
		recent.Merge(h)
	}
	for b := range r.inFlight {
		record(recent, at-b.due)
	}
	last := r.series[max(0, len(r.series)-2):]
	for i := range last {
		rate += float64(last[i].Sent) / float64(len(last))
	}
	return all, recent, rate
}
