package load

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Pace says when events are due. It reads no clock and keeps no state, so it
// cannot drift, and a late start does not move the instants behind it.
type Pace struct {
	ramp []Segment
	rate float64 // events a second, behind the ramp; infinite in the closed model
}

// Segment is a part of a ramp: the rate goes from From to To events a second, in
// a straight line, in the time For.
type Segment struct {
	From, To float64
	For      time.Duration
}

// Constant is a Pace with one rate, in events a second; it must be positive.
func Constant(rate float64) Pace { return Pace{rate: rate} }

// Max is the Pace of the closed model: everything is due at once, and the
// connections are what limits it.
func Max() Pace { return Pace{rate: math.Inf(1)} }

// Ramp is a Pace whose rate changes. After its last segment the rate stays.
func Ramp(segments ...Segment) Pace {
	return Pace{ramp: segments, rate: segments[len(segments)-1].To}
}

func (p Pace) closed() bool { return math.IsInf(p.rate, 1) }

// Length is how long the ramp takes.
func (p Pace) Length() time.Duration {
	var sum time.Duration
	for _, s := range p.ramp {
		sum += s.For
	}
	return sum
}

// Due is when event n, counted from 0, is due, from the start of the run; ok is
// false where it never is. It inverts the area under the rate: event n is due
// when n events are before it.
func (p Pace) Due(n uint64) (after time.Duration, ok bool) {
	left, before := float64(n), 0.0
	for _, s := range p.ramp {
		if area := s.area(s.For.Seconds()); left >= area {
			left -= area
			before += s.For.Seconds()
			continue
		}
		return seconds(before + s.timeOf(left))
	}
	if p.rate <= 0 {
		return 0, false
	}
	return seconds(before + left/p.rate)
}

// Rate is how many events a second are wanted at an instant; 0 in the closed model.
func (p Pace) Rate(after time.Duration) float64 {
	for _, s := range p.ramp {
		if after < s.For {
			return s.From + (s.To-s.From)*after.Seconds()/s.For.Seconds()
		}
		after -= s.For
	}
	if p.closed() {
		return 0
	}
	return p.rate
}

// Events is how many events are due before an instant of the run.
func (p Pace) Events(until time.Duration) uint64 {
	var sum float64
	for _, s := range p.ramp {
		sum += s.area(min(until, s.For).Seconds())
		if until -= s.For; until <= 0 {
			return countBefore(sum)
		}
	}
	return countBefore(sum + p.rate*until.Seconds())
}

// String is the rate as --rate and --ramp take it.
func (p Pace) String() string {
	if p.closed() {
		return "max"
	}
	parts := make([]string, len(p.ramp))
	for i, s := range p.ramp {
		parts[i] = fmt.Sprintf("%s:%s:%s", Constant(s.From), Constant(s.To), s.For)
	}
	return cmp.Or(strings.Join(parts, ","), strconv.FormatFloat(p.rate, 'g', -1, 64))
}

// area is how many events are due in the first x seconds of the segment.
func (s Segment) area(x float64) float64 { return s.From*x + s.slope()*x*x/2 }

// timeOf is the time after which so many events of the segment were due, in
// seconds: the root of slope/2·x² + From·x = events, in the form that loses no
// digits where the slope is near zero.
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

// countBefore is how many integers from 0 are below x, but for rounding errors.
func countBefore(x float64) uint64 {
	if !(x > 0) {
		return 0
	}
	if x >= math.MaxInt64 {
		return math.MaxInt64
	}
	return uint64(math.Ceil(x - 1e-6))
}

// maxRate catches typing mistakes.
const maxRate = 10_000_000

// ParseRate reads events a second, such as 2000 or 10k, or max.
func ParseRate(text string) (Pace, error) {
	if text == "max" {
		return Max(), nil
	}
	rate, err := parseRate(text)
	if err != nil || rate == 0 {
		return Pace{}, fmt.Errorf("a rate is a positive number of events a second, such as 2000 or 10k (at most %d), or max, not %q", maxRate, text)
	}
	return Constant(rate), nil
}

func parseRate(text string) (float64, error) {
	number, thousands := strings.CutSuffix(text, "k")
	rate, err := strconv.ParseFloat(number, 64)
	if thousands {
		rate *= 1000
	}
	if err == nil && !(rate >= 0 && rate <= maxRate) {
		err = fmt.Errorf("a rate is from 0 to %d events a second", maxRate)
	}
	return rate, err
}

// ParseRamp reads segments such as 0:5000:2m, with commas between them.
func ParseRamp(text string) (Pace, error) {
	var ramp []Segment
	for part := range strings.SplitSeq(text, ",") {
		from, rest, _ := strings.Cut(strings.TrimSpace(part), ":")
		to, length, _ := strings.Cut(rest, ":")
		var s Segment
		var errs [3]error
		s.From, errs[0] = parseRate(from)
		s.To, errs[1] = parseRate(to)
		s.For, errs[2] = time.ParseDuration(length)
		err := cmp.Or(errs[:]...)
		if err == nil && (s.For <= 0 || s.From+s.To == 0) {
			err = errors.New("it takes no time, or sends nothing")
		}
		if err != nil {
			return Pace{}, fmt.Errorf("a part of a ramp is FROM:TO:DURATION, such as 0:5000:2m, not %q: %w", part, err)
		}
		ramp = append(ramp, s)
	}
	return Ramp(ramp...), nil
}
