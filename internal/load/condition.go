package load

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Condition is one comparison of --threshold, such as p99<200ms,
// late<1% or errors==0.
type Condition struct {
	text    string
	name    string
	op      string
	value   float64 // milliseconds for a latency
	percent bool
}

// String is the condition as it was written, without spaces.
func (c Condition) String() string { return c.text }

// kind is what the values of a name are.
type kind uint8

const (
	unknown kind = iota
	latency      // a duration
	share        // a count, or a share with %
	plain        // a number alone
)

func kindOf(name string) kind {
	if of := strings.TrimPrefix(name, "service_"); of == "mean" || percents()[of] > 0 {
		return latency
	}
	switch name {
	case "errors", "late", "dropped", "acked", "lost", "duplicated":
		return share
	case "rate":
		return plain
	}
	return unknown
}

const namesHelp = "p50, p90, p95, p99, p999, max, mean (also with service_ before), errors, late, dropped, rate, acked, lost, duplicated"

// ParseConditions reads conditions with commas between them. The error names
// each one that is wrong.
func ParseConditions(text string) ([]Condition, error) {
	var all []Condition
	var failed error
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		c, err := parseCondition(part)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%q: %w", part, err))
			continue
		}
		all = append(all, c)
	}
	if failed == nil && len(all) == 0 {
		failed = errors.New("there is no condition, such as p99<200ms")
	}
	return all, failed
}

func parseCondition(text string) (Condition, error) {
	at := strings.IndexAny(text, "<>=!")
	if at < 0 {
		return Condition{}, errors.New("a condition is NAME, one of < <= > >= == !=, and a value")
	}
	end := at + 1
	if end < len(text) && text[end] == '=' {
		end++
	}
	c := Condition{text: strings.ReplaceAll(text, " ", ""), name: strings.TrimSpace(text[:at]), op: text[at:end]}
	if !slices.Contains([]string{"<", "<=", ">", ">=", "==", "!="}, c.op) {
		return c, fmt.Errorf("%q is none of < <= > >= == !=", c.op)
	}
	return c, c.parseValue(strings.TrimSpace(text[end:]))
}

func (c *Condition) parseValue(text string) (err error) {
	k := kindOf(c.name)
	switch k {
	case unknown:
		return fmt.Errorf("unknown name %q; known are %s", c.name, namesHelp)
	case latency:
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return fmt.Errorf("%s is a duration with its unit, such as 200ms, not %q", c.name, text)
		}
		c.value = float64(d) / 1e6
		return nil
	}
	number, percent := strings.CutSuffix(text, "%")
	if percent && k == plain {
		return fmt.Errorf("%s is a number, not a share", c.name)
	}
	c.percent = percent
	c.value, err = strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(c.value >= 0 && c.value < 1e18) {
		return fmt.Errorf("%q is no number that %s can have", text, c.name)
	}
	return nil
}

// about says whether the condition is about one of the names.
func (c Condition) about(names ...string) bool { return slices.Contains(names, c.name) }

func (c Condition) holds(actual float64) bool {
	switch c.op {
	case "<":
		return actual < c.value
	case "<=":
		return actual <= c.value
	case ">":
		return actual > c.value
	case ">=":
		return actual >= c.value
	case "==":
		return actual == c.value
	default:
		return actual != c.value
	}
}

// ThresholdResult is what became of a threshold.
type ThresholdResult struct {
	Expression string `json:"expression"`
	Actual     string `json:"actual"`
	OK         bool   `json:"ok"`
}

// result judges the condition. What was not measured holds nothing.
func (c Condition) result(f *figures) ThresholdResult {
	r := ThresholdResult{Expression: c.String()}
	v, ok := f.value(c)
	if !ok {
		r.Actual = f.missing(c)
		return r
	}
	r.OK = c.holds(v)
	switch {
	case kindOf(c.name) == latency:
		r.Actual = millis(v)
	case c.percent:
		r.Actual = strconv.FormatFloat(v, 'f', 3, 64) + "%"
	default:
		r.Actual = strconv.FormatFloat(v, 'f', -1, 64)
		if c.name == "rate" {
			r.Actual = strconv.FormatFloat(v, 'f', 1, 64)
		}
	}
	return r
}

// millis writes milliseconds with as many digits as say something.
func millis(v float64) string {
	switch {
	case v < 10:
		return strconv.FormatFloat(v, 'f', 2, 64) + " ms"
	case v < 1000:
		return strconv.FormatFloat(v, 'f', 1, 64) + " ms"
	default:
		return strconv.FormatFloat(v/1000, 'f', 2, 64) + " s"
	}
}

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
		h := f.intended
		name, service := strings.CutPrefix(c.name, "service_")
		if service {
			h = f.service
		}
		return quantile(h, name), h.TotalCount() > 0
	}
	var count, of uint64
	switch c.name {
	case "errors":
		count, of = f.Refused+f.Failed, f.Sent
	case "late":
		count, of = f.late, f.planned
	case "dropped":
		count, of = f.dropped, f.planned
	case "acked":
		count, of = f.Acked, f.Sent
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

// percents are the percentiles by their names.
func percents() map[string]float64 {
	return map[string]float64{"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p999": 99.9, "max": 100}
}

// quantile is a latency in milliseconds, 0 where there is none.
func quantile(h *hdrhistogram.Histogram, name string) float64 {
	switch {
	case h.TotalCount() == 0:
		return 0
	case name == "mean":
		return h.Mean() / 1000
	}
	return float64(h.ValueAtPercentile(percents()[name])) / 1000
}
