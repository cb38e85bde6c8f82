package load

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Pacer says when events are due. It is arithmetic alone: it reads no clock and
// keeps no state, so it cannot drift, and what starts late is not made up for by
// moving what follows.
type Pacer interface {
	// Due is when event n, counted from 0, is due, from the start of the run; ok
	// is false where it never is.
	Due(n uint64) (after time.Duration, ok bool)
	// Rate is how many events a second are wanted at an instant of the run.
	Rate(after time.Duration) float64
	// Events is how many events are due before an instant of the run.
	Events(until time.Duration) uint64
	// String is the rate as --rate and --ramp take it.
	String() string
}

// Constant is a Pacer with one rate, in events a second; it must be positive.
type Constant float64

// Due implements Pacer.
func (c Constant) Due(n uint64) (time.Duration, bool) { return seconds(float64(n) / float64(c)) }

// Rate implements Pacer.
func (c Constant) Rate(time.Duration) float64 { return float64(c) }

// Events implements Pacer.
func (c Constant) Events(until time.Duration) uint64 {
	return countBefore(until.Seconds() * float64(c))
}

// String implements Pacer.
func (c Constant) String() string { return strconv.FormatFloat(float64(c), 'g', -1, 64) }

// Max is the Pacer of the closed model: everything is due at once, and the
// connections are what limits it.
type Max struct{}

// Due implements Pacer.
func (Max) Due(uint64) (time.Duration, bool) { return 0, true }

// Rate implements Pacer; no rate is wanted.
func (Max) Rate(time.Duration) float64 { return 0 }

// Events implements Pacer.
func (Max) Events(time.Duration) uint64 { return math.MaxUint64 }

// String implements Pacer.
func (Max) String() string { return "max" }

// Segment is a part of a Ramp: the rate goes from From to To events a second, in
// a straight line, in the time For.
type Segment struct {
	From, To float64
	For      time.Duration
}

// Ramp is a Pacer whose rate changes. After its last segment the rate stays.
type Ramp []Segment

// Length is how long the segments take together.
func (r Ramp) Length() time.Duration {
	var sum time.Duration
	for _, s := range r {
		sum += s.For
	}
	return sum
}

// Due implements Pacer. It turns the area under the rate around: event n is due
// when n events lie behind.
func (r Ramp) Due(n uint64) (time.Duration, bool) {
	left, before := float64(n), 0.0
	for _, s := range r {
		if area := s.area(s.For.Seconds()); left >= area {
			left -= area
			before += s.For.Seconds()
			continue
		}
		return seconds(before + s.timeOf(left))
	}
	last := r.last()
	if last <= 0 {
		return 0, false
	}
	return seconds(before + left/last)
}

// Rate implements Pacer.
func (r Ramp) Rate(after time.Duration) float64 {
	for _, s := range r {
		if after < s.For {
			return s.From + (s.To-s.From)*after.Seconds()/s.For.Seconds()
		}
		after -= s.For
	}
	return r.last()
}

// Events implements Pacer.
func (r Ramp) Events(until time.Duration) uint64 {
	var sum float64
	for _, s := range r {
		sum += s.area(min(until, s.For).Seconds())
		if until -= s.For; until <= 0 {
			return countBefore(sum)
		}
	}
	return countBefore(sum + r.last()*until.Seconds())
}

// String implements Pacer.
func (r Ramp) String() string {
	parts := make([]string, len(r))
	for i, s := range r {
		parts[i] = fmt.Sprintf("%s:%s:%s", Constant(s.From), Constant(s.To), s.For)
	}
	return strings.Join(parts, ",")
}

func (r Ramp) last() float64 {
	if len(r) == 0 {
		return 0
	}
	return r[len(r)-1].To
}

// area is how many events are due in the first x seconds of the segment.
func (s Segment) area(x float64) float64 { return s.From*x + s.slope()*x*x/2 }

// timeOf is when so many events of the segment lie behind, in seconds. It is
// the root of slope/2·x² + From·x = events in the form that loses no digits
// where the slope is near zero.
func (s Segment) timeOf(events float64) float64 {
	if events == 0 {
		return 0
	}
	return 2 * events / (s.From + math.Sqrt(max(0, s.From*s.From+2*s.slope()*events)))
}

func (s Segment) slope() float64 { return (s.To - s.From) / s.For.Seconds() }

// seconds turns seconds into a Duration; what does not fit is never.
func seconds(s float64) (time.Duration, bool) {
	ns := math.Round(s * 1e9)
	if !(ns < math.MaxInt64) {
		return 0, false
	}
	return time.Duration(ns), true
}

// countBefore is how many whole numbers from 0 are below x. What floating point
// adds to a whole number is not one more.
func countBefore(x float64) uint64 {
	if !(x > 0) {
		return 0
	}
	if x >= math.MaxInt64 {
		return math.MaxInt64
	}
	return uint64(math.Ceil(x - 1e-6))
}

// ParseRate reads events a second, such as 2000 or 10k, or max.
func ParseRate(text string) (Pacer, error) {
	if text == "max" {
		return Max{}, nil
	}
	rate, err := parseRate(text)
	if err != nil || rate == 0 {
		return nil, fmt.Errorf("a rate is a positive number of events a second, such as 2000 or 10k, or max, not %q", text)
	}
	return Constant(rate), nil
}

// ParseRamp reads segments FROM:TO:DURATION, such as 0:5000:2m, with commas
// between them.
func ParseRamp(text string) (Ramp, error) {
	var ramp Ramp
	for part := range strings.SplitSeq(text, ",") {
		s, err := parseSegment(strings.TrimSpace(part))
		if err != nil {
			return nil, fmt.Errorf("a part of a ramp is FROM:TO:DURATION, such as 0:5000:2m, not %q: %w", part, err)
		}
		ramp = append(ramp, s)
	}
	return ramp, nil
}

func parseSegment(text string) (s Segment, err error) {
	fields := strings.Split(text, ":")
	if len(fields) != 3 {
		return s, fmt.Errorf("it has %d parts", len(fields))
	}
	if s.From, err = parseRate(fields[0]); err != nil {
		return s, err
	}
	if s.To, err = parseRate(fields[1]); err != nil {
		return s, err
	}
	if s.For, err = time.ParseDuration(fields[2]); err != nil {
		return s, err
	}
	if s.For <= 0 {
		return s, errors.New("it takes no time")
	}
	if s.From == 0 && s.To == 0 {
		return s, errors.New("both rates are zero")
	}
	return s, nil
}

// maxRate bounds what a typing mistake asks for.
const maxRate = 10_000_000

func parseRate(text string) (float64, error) {
	factor := 1.0
	if number, ok := strings.CutSuffix(text, "k"); ok {
		text, factor = number, 1000
	}
	rate, err := strconv.ParseFloat(text, 64)
	rate *= factor
	if err != nil {
		return 0, fmt.Errorf("%q is no number", text)
	}
	if !(rate >= 0 && rate <= maxRate) {
		return 0, fmt.Errorf("a rate is from 0 to %d events a second", maxRate)
	}
	return rate, nil
}
