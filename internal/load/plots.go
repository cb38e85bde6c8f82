package load

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
)

// figure is a plot that report.html.tmpl draws as SVG, with its legend and the
// sentence below it. Places are in the units of the SVG.
type figure struct {
	Title, Note, Unit string
	X, Y              []mark
	WarmUp            float64 // where the warm-up ends, 0 for none
	Curves            []curve
}

// curve is a line. On a logarithmic axis a point at 0 breaks it.
type curve struct {
	Name, Class, Path string
	points            [][2]float64
}

type mark struct {
	At   float64
	Text string
}

// The area of a plot, in the units of its SVG; report.html.tmpl has the same numbers.
const left, right, top, bottom = 56.0, 586.0, 8.0, 196.0

// axis has a scale, its range and the values of its ticks.
type axis struct {
	scale     func(float64) float64
	low, high float64 // scaled
	ticks     []float64
	write     func(float64) string
}

// at is the part of the axis before a value.
func (a axis) at(v float64) float64 { return min(max((a.scale(v)-a.low)/(a.high-a.low), 0), 1) }

func (a axis) x(v float64) float64 { return left + (right-left)*a.at(v) }
func (a axis) y(v float64) float64 { return bottom - (bottom-top)*a.at(v) }

func (a axis) place(at func(float64) float64) (all []mark) {
	for _, v := range a.ticks {
		all = append(all, mark{at(v), a.write(v)})
	}
	return all
}

// linear is an axis from 0 to a value with at most n ticks at round numbers.
func linear(high float64, n int) axis {
	if !(high > 0) {
		high = 1
	}
	step := math.Pow(10, math.Floor(math.Log10(high/float64(n))))
	for _, m := range []float64{2, 2.5, 2} {
		if high/step > float64(n) {
			step *= m
		}
	}
	a := axis{scale: func(v float64) float64 { return v }, high: high}
	a.write = func(v float64) string { return strconv.FormatFloat(v, 'g', 10, 64) }
	for v := 0.0; v <= high; v += step {
		a.ticks = append(a.ticks, v)
	}
	return a
}

// logarithmic is an axis of powers of ten of milliseconds.
func logarithmic(low, high float64) axis {
	if high == 0 {
		low, high = 1, 10
	}
	a := axis{scale: math.Log10, low: math.Floor(math.Log10(low))}
	a.high = max(math.Ceil(math.Log10(high)), a.low+1)
	a.write = func(v float64) string { return time.Duration(v * 1e6).String() }
	for power := a.low; power <= a.high; power++ {
		a.ticks = append(a.ticks, math.Pow(10, power))
	}
	return a
}

// fromZero is an axis with some room above.
func fromZero(_, high float64) axis { return linear(high*1.05, 5) }

// draw draws curves; vertical makes the axis for their lowest value above 0 and their
// highest. A curve begins with a line of no length, so that a single point between gaps
// is a dot.
func (f figure) draw(x axis, vertical func(low, high float64) axis, curves ...curve) figure {
	low, high := math.Inf(1), 0.0
	for _, c := range curves {
		for _, p := range c.points {
			if p[1] > 0 {
				low, high = min(low, p[1]), max(high, p[1])
			}
		}
	}
	y := vertical(low, high)
	f.X, f.Y = x.place(x.x), y.place(y.y)
	for _, c := range curves {
		next := "M%.1f %.1fh0"
		for _, p := range c.points {
			if math.IsInf(y.scale(p[1]), -1) {
				next = "M%.1f %.1fh0"
				continue
			}
			c.Path += fmt.Sprintf(next, x.x(p[0]), y.y(p[1]))
			next = "L%.1f %.1f"
		}
		f.Curves = append(f.Curves, c)
	}
	return f
}

// maxPoints is how many points a plot over time has at most; a longer run puts
// several seconds into one.
const maxPoints = 240

// bin is one or more seconds of a run.
type bin struct {
	Second
	seconds float64
}

// bins merges seconds: sums of counts, and the largest of the latencies, so that
// no peak is averaged away.
func bins(series []Second) (all []bin) {
	for part := range slices.Chunk(series, 1+max(0, len(series)-1)/maxPoints) {
		b := bin{Second{At: part[0].At, Statuses: map[string]uint64{}}, float64(len(part))}
		for _, s := range part {
			b.Sent += s.Sent
			b.Acked += s.Acked
			b.Wanted += s.Wanted / b.seconds
			b.P50, b.P99 = max(b.P50, s.P50), max(b.P99, s.P99)
			b.Waiting = max(b.Waiting, s.Waiting)
			b.ServiceP50, b.ServiceP99 = max(b.ServiceP50, s.ServiceP50), max(b.ServiceP99, s.ServiceP99)
			for status, n := range s.Statuses {
				b.Statuses[status] += n
			}
		}
		all = append(all, b)
	}
	return all
}

// overTime is a curve of bins.
func overTime(name, class string, all []bin, y func(b bin) float64) curve {
	c := curve{Name: name, Class: class}
	for _, b := range all {
		c.points = append(c.points, [2]float64{float64(b.At) + b.seconds/2, y(b)})
	}
	return c
}

func (r *Report) plots() []figure {
	all, x := bins(r.Series), linear(float64(len(r.Series)), 10)
	warm := 0.0
	if r.WarmUp > 0 {
		warm = x.x(r.WarmUp)
	}
	over := figure{Title: "Latency over time", Unit: "seconds", WarmUp: warm,
		Note: "Of the batches that were answered in each second. Intended: from the instant at which the batch was due; " +
			"service: from its start. In a second without answers the first line is how long the oldest batch had waited."}
	by := figure{Title: "Latency by percentile", Unit: "percentile",
		Note: "Of the whole run without the warm-up. Where the curves part, batches waited before they started."}
	intended, service := curve{Name: "intended", Class: "intended"}, curve{Name: "service", Class: "service"}
	for _, p := range r.Percentiles {
		intended.points = append(intended.points, [2]float64{p.Percentile, p.Intended})
		service.points = append(service.points, [2]float64{p.Percentile, p.Service})
	}
	events := figure{Title: "Events a second", Note: "What was wanted, sent and acknowledged.", Unit: "seconds", WarmUp: warm}
	whole := all[:max(min(1, len(all)), len(all)-1)] // the last second is never complete
	rates := []curve{
		overTime("sent", "sent", whole, func(b bin) float64 { return float64(b.Sent) / b.seconds }),
		overTime("acknowledged", "acked", whole, func(b bin) float64 { return float64(b.Acked) / b.seconds }),
	}
	if r.Model == "open" {
		rates = append(rates, overTime("wanted", "wanted dashed", whole, func(b bin) float64 { return b.Wanted }))
	}
	answers := figure{Title: "Answers a second", Note: "Batches by the status of their answer.", Unit: "seconds", WarmUp: warm}
	return []figure{
		over.draw(x, logarithmic,
			// Where no batch was answered, the oldest wait is shown: a stall is a line that
			// rises.
			overTime("intended p99", "intended", all, func(b bin) float64 { return cmp.Or(b.P99, b.Waiting) }),
			overTime("intended p50", "intended dashed", all, func(b bin) float64 { return b.P50 }),
			overTime("service p99", "service", all, func(b bin) float64 { return b.ServiceP99 }),
			overTime("service p50", "service dashed", all, func(b bin) float64 { return b.ServiceP50 })),
		by.draw(percentiles(), logarithmic, intended, service),
		events.draw(x, fromZero, rates...),
		answers.draw(x, fromZero, answersOver(all)...),
	}
}

// answersOver are curves of the answers by status, missing ones first.
func answersOver(all []bin) (curves []curve) {
	statuses := map[string]bool{}
	for _, b := range all {
		for status := range b.Statuses {
			statuses[status] = true
		}
	}
	for _, status := range slices.Sorted(maps.Keys(statuses)) {
		c := overTime(status, "s"+status[:1], all, func(b bin) float64 { return float64(b.Statuses[status]) / b.seconds })
		if status == "0" {
			c.Name = "no answer"
		}
		curves = append(curves, c)
	}
	return curves
}

// percentiles is an axis on which 90, 99 and 99.9 are equally far apart.
func percentiles() axis {
	return axis{
		scale: func(p float64) float64 { return -math.Log10(max(1-p/100, 1e-4)) },
		high:  4, ticks: []float64{0, 50, 90, 95, 99, 99.5, 99.9, 100},
		write: func(p float64) string {
			if p == 100 {
				return "max"
			}
			return fmt.Sprint(p)
		},
	}
}
