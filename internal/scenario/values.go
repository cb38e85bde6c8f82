package scenario

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/population"
)

// Share is a part of a whole in millionths. It is written in percent, with at
// most four decimals: 12%, 0.05%.
type Share uint32

// Whole is the Share of everything.
const Whole Share = 1_000_000

// Hits is true in a Share of all cases.
func (s Share) Hits(d population.Draw) bool { return d.N(int(Whole)) < int(s) }

// String writes the Share in percent.
func (s Share) String() string {
	return strconv.FormatFloat(float64(s)/10_000, 'f', -1, 64) + "%"
}

// ParseShare reads a percentage from 0% to 100%. 0 may be written without %.
func ParseShare(text string) (Share, error) {
	s, err := parsePercent(text)
	if err == nil && s > Whole {
		err = fmt.Errorf("%q is more than 100%%", text)
	}
	return s, err
}

func parsePercent(text string) (Share, error) {
	number, ok := strings.CutSuffix(strings.TrimSpace(text), "%")
	if !ok && number != "0" {
		return 0, fmt.Errorf("%q is no share: write it in percent, such as 12%% or 0.5%%", text)
	}
	whole, part, dotted := strings.Cut(number, ".")
	if len(part) > 4 || dotted && part == "" {
		return 0, fmt.Errorf("%q has to have one to four digits after the point", text)
	}
	n, err := strconv.ParseUint(whole+(part + "0000")[:4], 10, 32)
	if err != nil || whole == "" || n > 1000*uint64(Whole) {
		return 0, fmt.Errorf("%q is no share: write it in percent, such as 12%% or 0.5%%", text)
	}
	return Share(n), nil
}

// Pace is a multiple of a whole in millionths, written as a Share.
type Pace Share

// String writes the Pace in percent.
func (p Pace) String() string { return Share(p).String() }

// Seconds is a time in seconds, written 90s, 5m, 36h or 2d.
type Seconds int64

// Span is how long something takes: from Min to Max seconds, short times more
// often than long ones. It is written 30s..36h; one duration is a fixed time.
type Span struct{ Min, Max Seconds }

// Choose chooses a time within the Span. The cube of a uniform number makes short
// times common: half of all are within the first eighth.
func (s Span) Choose(d population.Draw) int64 {
	u := uint64(d.N(1 << 16))
	return int64(s.Min) + int64(uint64(s.Max-s.Min+1)*(u*u*u>>16)>>32)
}

// String writes the Span as ParseSpan reads it.
func (s Span) String() string {
	if s.Min == s.Max {
		return s.Min.String()
	}
	return s.Min.String() + ".." + s.Max.String()
}

// longest is the longest time that a Span may take, 400 days in seconds.
const longest = 400 * 86400

// ParseSpan reads a Span of durations such as 90s, 5m, 36h or 2d, up to 400d.
func ParseSpan(text string) (Span, error) {
	low, high, two := strings.Cut(text, "..")
	if !two {
		high = low
	}
	from, err := parseSeconds(low)
	if err != nil {
		return Span{}, err
	}
	to, err := parseSeconds(high)
	if err == nil && from > to {
		err = fmt.Errorf("%q begins after its end", text)
	}
	return Span{from, to}, err
}

type unit struct {
	letter  byte
	seconds Seconds
}

func units() [4]unit { return [4]unit{{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}} }

func parseSeconds(text string) (Seconds, error) {
	text = strings.TrimSpace(text)
	for _, u := range units() {
		if number, ok := strings.CutSuffix(text, string(u.letter)); ok {
			n, err := strconv.ParseUint(number, 10, 31)
			switch d := Seconds(n) * u.seconds; {
			case err == nil && d > longest:
				return 0, fmt.Errorf("%q is longer than 400d", text)
			case err == nil:
				return d, nil
			}
		}
	}
	if text == "0" {
		return 0, nil
	}
	return 0, fmt.Errorf("%q is no duration: write a whole number and s, m, h or d, such as 90s or 36h", text)
}

// String writes the time in its largest whole unit.
func (s Seconds) String() string {
	for _, u := range units() {
		if s%u.seconds == 0 && s != 0 {
			return strconv.FormatInt(int64(s/u.seconds), 10) + string(u.letter)
		}
	}
	return "0s"
}

// Clock is a time of day in minutes since midnight, written 09:30.
type Clock int

// String writes the Clock as hours and minutes.
func (c Clock) String() string { return fmt.Sprintf("%02d:%02d", int(c)/60, int(c)%60) }

// ParseClock reads a time of day from 00:00 to 23:59.
func ParseClock(text string) (Clock, error) {
	at, err := time.Parse("15:04", text)
	if err != nil {
		return 0, fmt.Errorf("%q is no time of day: write it as 09:30", text)
	}
	return Clock(at.Hour()*60 + at.Minute()), nil
}
