package load

import (
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

// kind is the kind of values that a name has.
type kind uint8

const (
	unknown kind = iota
	latency      // a duration
	share        // a count, or a share with %
	plain        // a number alone
)

func kindOf(name string) kind {
	if _, ok := (Latencies{}).byName()[strings.TrimPrefix(name, "service_")]; ok {
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

var conditionText = regexp.MustCompile(`^([^<>=!]*)([<>]=?|[=!]=)([^=].*)?$`)

func parseCondition(text string) (Condition, error) {
	parts := conditionText.FindStringSubmatch(text)
	if parts == nil {
		return Condition{}, errors.New("a condition is NAME, one of < <= > >= == !=, and a value")
	}
	c := Condition{text: strings.ReplaceAll(text, " ", ""), name: strings.TrimSpace(parts[1]), op: parts[2]}
	return c, c.parseValue(strings.TrimSpace(parts[3]))
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

// ThresholdResult says whether a threshold holds.
type ThresholdResult struct {
	Expression string `json:"expression"`
	Actual     string `json:"actual"`
	OK         bool   `json:"ok"`
}

// result evaluates the condition. Without a measurement it does not hold.
func (c Condition) result(r *Report) ThresholdResult {
	v, ok := r.value(c)
	actual := strconv.FormatFloat(v, 'f', -1, 64)
	switch {
	case !ok && r.Verify != nil && c.about("lost", "duplicated"):
		actual = "not known: " + r.Verify.Problem
	case !ok:
		actual = "nothing was measured"
	case kindOf(c.name) == latency:
		actual = millis(v)
	case c.percent:
		actual = strconv.FormatFloat(v, 'f', 3, 64) + "%"
	case c.name == "rate":
		actual = strconv.FormatFloat(v, 'f', 1, 64)
	}
	return ThresholdResult{Expression: c.String(), Actual: actual, OK: ok && c.holds(v)}
}

// value is the figure that a condition is about: milliseconds, a count, or a
// share in percent. ok is false where there is none.
func (r *Report) value(c Condition) (v float64, ok bool) {
	var count, of uint64
	switch c.name {
	case "errors":
		count, of = r.Events.Refused+r.Events.Failed, r.Events.Sent
	case "late":
		count, of = r.Batches.Late, r.Batches.Intended
	case "dropped":
		count, of = r.Batches.Dropped, r.Batches.Intended
	case "acked":
		count, of = r.Events.Acked, r.Events.Sent
	case "rate":
		return r.Rate.Reached, r.measured > 0
	case "lost", "duplicated":
		if r.Verify == nil || r.Verify.Problem != "" {
			return 0, false
		}
		count, of = r.Verify.Lost, r.Verify.Acked
		if c.name == "duplicated" {
			count = r.Verify.Duplicated
		}
	default:
		latencies := r.Latency.Intended
		name, service := strings.CutPrefix(c.name, "service_")
		if service {
			latencies = r.Latency.Service
		}
		return latencies.byName()[name], latencies != (Latencies{})
	}
	if c.percent {
		return 100 * float64(count) / float64(of), of > 0
	}
	return float64(count), true
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
