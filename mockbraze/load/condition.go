package load

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Condition is one comparison of --threshold or --abort-on, such as p99<200ms,
// late<1% or errors==0.
type Condition struct {
	name    string
	op      string
	value   float64 // milliseconds for a latency
	percent bool
}

// String is the condition as it is written.
func (c Condition) String() string {
	number := strconv.FormatFloat(c.value, 'g', -1, 64)
	switch {
	case kindOf(c.name) == latency:
		number = time.Duration(c.value * 1e6).String()
	case c.percent:
		number += "%"
	}
	return c.name + c.op + number
}

// kind is what the values of a name are.
type kind uint8

const (
	unknown kind = iota
	latency      // a duration
	share        // a count, or a share with %
	plain        // a number alone
)

func kindOf(name string) kind {
	if slices.Contains(latencyNames(), strings.TrimPrefix(name, "service_")) {
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

func latencyNames() []string { return []string{"p50", "p90", "p95", "p99", "p999", "max", "mean"} }

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
	c := Condition{name: strings.TrimSpace(text[:at]), op: text[at:end]}
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
