package load

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
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

const namesHelp = "p50, p90, p95, p99, p999, max, mean (also with service_ before), errors, late, dropped, rate, acked, lost, duplicated"

// ParseConditions reads conditions with commas between them. The error names
// each one that is wrong.
func ParseConditions(text string) ([]Condition, error) {
	var all []Condition
	var failed error
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		c, err := parseCondition(part)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%q: %w", part, err))
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("there is no condition, such as p99<200ms")
	}
	return all, failed
}

var conditionText = regexp.MustCompile(`^([^<>=!]*?) *([<>]=?|[=!]=) *([^= ].*)?$`)

func parseCondition(text string) (Condition, error) {
	parts := conditionText.FindStringSubmatch(text)
	if parts == nil {
		return Condition{}, errors.New("a condition is NAME, one of < <= > >= == !=, and a value")
	}
	c, value := Condition{text: strings.ReplaceAll(text, " ", ""), name: parts[1], op: parts[2]}, parts[3]
	_, isCount := (&Report{}).counted(c.name)
	switch {
	case c.isLatency():
		d, err := time.ParseDuration(value)
		if err != nil || d < 0 {
			return c, fmt.Errorf("%s is a duration with its unit, such as 200ms, not %q", c.name, value)
		}
		c.value = float64(d) / 1e6
		return c, nil
	case isCount:
		value, c.percent = strings.CutSuffix(value, "%")
		value = strings.TrimSpace(value)
	case c.name != "rate":
		return c, fmt.Errorf("unknown name %q; known are %s", c.name, namesHelp)
	}
	var err error
	if c.value, err = strconv.ParseFloat(value, 64); err != nil || !(c.value >= 0 && c.value < 1e18) {
		return c, fmt.Errorf("%q is no number that %s can have", parts[3], c.name)
	}
	return c, nil
}

func (c Condition) isLatency() bool {
	_, ok := (Latencies{}).byName()[strings.TrimPrefix(c.name, "service_")]
	return ok
}

func (c Condition) about(names ...string) bool { return slices.Contains(names, c.name) }

func (c Condition) holds(actual float64) bool {
	order := cmp.Compare(actual, c.value)
	return map[string]bool{
		"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0, "==": order == 0, "!=": order != 0,
	}[c.op]
}

// ThresholdResult says whether a threshold holds.
type ThresholdResult struct {
	Expression string `json:"expression"`
	Actual     string `json:"actual"`
	OK         bool   `json:"ok"`
}

// result evaluates the condition. Without a measurement it does not hold.
func (c Condition) result(r *Report) ThresholdResult {
	v, ok := r.value(c)
	out := ThresholdResult{Expression: c.text, Actual: strconv.FormatFloat(v, 'f', -1, 64), OK: ok && c.holds(v)}
	switch {
	case !ok && r.Verify != nil && c.about("lost", "duplicated"):
		out.Actual = "not known: " + r.Verify.Problem
	case !ok:
		out.Actual = "nothing was measured"
	case c.isLatency():
		out.Actual = millis(v)
	case c.percent:
		out.Actual = strconv.FormatFloat(v, 'f', 3, 64) + "%"
	case c.name == "rate":
		out.Actual = strconv.FormatFloat(v, 'f', 1, 64)
	}
	return out
}

// counted is a number that a condition may be about, and what a share of it is of.
func (r *Report) counted(name string) (counts [2]uint64, known bool) {
	e, b, v := r.Events, r.Batches, Verification{}
	if r.Verify != nil {
		v = *r.Verify
	}
	counts, known = map[string][2]uint64{
		"errors": {e.Refused + e.Failed, e.Sent}, "acked": {e.Acked, e.Sent},
		"late": {b.Late, b.Intended}, "dropped": {b.Dropped, b.Intended},
		"lost": {v.Lost, v.Acked}, "duplicated": {v.Duplicated, v.Acked},
	}[name]
	return counts, known
}

// value is the figure that a condition is about: milliseconds, a count, or a
// share in percent. ok is false where there is none.
func (r *Report) value(c Condition) (v float64, ok bool) {
	counts, _ := r.counted(c.name)
	count, of := float64(counts[0]), float64(counts[1])
	switch {
	case c.name == "rate":
		return r.Rate.Reached, r.measured > 0
	case c.isLatency():
		latencies := r.Latency.Intended
		name, service := strings.CutPrefix(c.name, "service_")
		if service {
			latencies = r.Latency.Service
		}
		return latencies.byName()[name], latencies != (Latencies{})
	case c.about("lost", "duplicated") && (r.Verify == nil || r.Verify.Problem != ""):
		return 0, false
	case c.percent:
		return 100 * count / of, of > 0
	default:
		return count, true
	}
}

// millis writes milliseconds with two or three significant digits.
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
