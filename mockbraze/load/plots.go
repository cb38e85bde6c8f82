package load

import (
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
)

// maxPoints is how many points a plot over time has at most; a longer run puts
// several seconds into one.
const maxPoints = 240

// bin is one or more seconds of a run.
type bin struct {
	Second
	seconds float64
}

// bins gathers seconds: sums of what is counted, the largest of the latencies, so
// that nothing bad is averaged away.
func bins(series []Second) []bin {
	width := max(1, (len(series)+maxPoints-1)/maxPoints)
	var all []bin
	for part := range slices.Chunk(series, width) {
		b := bin{Second: part[0], seconds: float64(len(part))}
		b.Statuses = map[string]uint64{}
		b.Sent, b.Acked, b.Wanted = 0, 0, 0
		for _, s := range part {
			b.Sent += s.Sent
			b.Acked += s.Acked
			b.Wanted += s.Wanted / b.seconds
			b.P50, b.P99 = max(b.P50, s.P50), max(b.P99, s.P99)
			b.ServiceP50, b.ServiceP99 = max(b.ServiceP50, s.ServiceP50), max(b.ServiceP99, s.ServiceP99)
			for status, n := range s.Statuses {
				b.Statuses[status] += n
			}
		}
		all = append(all, b)
	}
	return all
}

// timeLine is a line over time; y is NaN where there is nothing.
func timeLine(name, class string, all []bin, y func(*bin) float64) curveLine {
	l := curveLine{name: name, class: class}
	for i := range all {
		l.points = append(l.points, point{float64(all[i].At) + all[i].seconds/2, y(&all[i])})
	}
	return l
}

// figure is a plot with its legend and the sentence below it.
type figure struct {
	Title, Note string
	Legend      []legend
	SVG         template.HTML
}

type legend struct {
	Class, Name string
	Line        bool
}

func legendOf(curves []curveLine) []legend {
	var all []legend
	for _, c := range curves {
		all = append(all, legend{c.class, c.name, true})
	}
	return all
}

func positive(v float64) float64 {
	if v > 0 {
		return v
	}
	return math.NaN()
}

func (r *Report) plots() []figure {
	all := bins(r.Series)
	long := float64(len(r.Series))
	x := span0(long, 10, "seconds")
	return []figure{r.latencyPlot(all, x), r.percentilePlot(), r.ratePlot(all, x), r.statusPlot(all, x)}
}

func (r *Report) latencyPlot(all []bin, x axis) figure {
	curves := []curveLine{
		timeLine("intended p99", "intended", all, func(b *bin) float64 { return positive(b.P99) }),
		timeLine("intended p50", "intended dashed", all, func(b *bin) float64 { return positive(b.P50) }),
		timeLine("service p99", "service", all, func(b *bin) float64 { return positive(b.ServiceP99) }),
		timeLine("service p50", "service dashed", all, func(b *bin) float64 { return positive(b.ServiceP50) }),
	}
	y := logarithmic(curves, shortMillis)
	s := newSVG("Latency over time")
	s.band(x, 0, r.WarmUp, "warm-up")
	s.axes(x, y)
	s.lines(x, y, curves)
	return figure{
		Title: "Latency over time", Legend: legendOf(curves), SVG: s.html(),
		Note: "Of the batches that were answered in each second. Intended: from the instant at which the batch was due; service: from its start.",
	}
}

// nines is the x of a percentile: 90, 99 and 99.9 are equally far apart.
func nines(percentile float64) float64 { return -math.Log10(max(1-percentile/100, 1e-4)) }

func (r *Report) percentilePlot() figure {
	curves := []curveLine{{name: "intended", class: "intended"}, {name: "service", class: "service"}}
	for _, p := range r.Percentiles {
		curves[0].points = append(curves[0].points, point{nines(p.Percentile), positive(p.Intended)})
		curves[1].points = append(curves[1].points, point{nines(p.Percentile), positive(p.Service)})
	}
	x := axis{high: 4, name: "percentile"}
	for _, p := range []float64{0, 50, 90, 95, 99, 99.5, 99.9} {
		x.ticks = append(x.ticks, tickMark{nines(p), fmt.Sprint(p)})
	}
	x.ticks = append(x.ticks, tickMark{4, "max"})
	y := logarithmic(curves, shortMillis)
	s := newSVG("Latency by percentile")
	s.axes(x, y)
	s.lines(x, y, curves)
	return figure{
		Title: "Latency by percentile", Legend: legendOf(curves), SVG: s.html(),
		Note: "Of the whole run without the warm-up. Where the curves part, batches waited before they started.",
	}
}

// ratePlot leaves the last second out, which is never whole.
func (r *Report) ratePlot(all []bin, x axis) figure {
	if len(all) > 1 {
		all = all[:len(all)-1]
	}
	curves := []curveLine{
		timeLine("sent", "sent", all, func(b *bin) float64 { return float64(b.Sent) / b.seconds }),
		timeLine("acknowledged", "acked", all, func(b *bin) float64 { return float64(b.Acked) / b.seconds }),
	}
	if r.Model == "open" {
		wanted := timeLine("wanted", "wanted dashed", all, func(b *bin) float64 { return b.Wanted })
		curves = append(curves, wanted)
	}
	y := linear(highestOf(curves)*1.05, 5, "")
	s := newSVG("Events a second")
	s.band(x, 0, r.WarmUp, "warm-up")
	s.axes(x, y)
	s.lines(x, y, curves)
	return figure{Title: "Events a second", Legend: legendOf(curves), SVG: s.html(), Note: "What was wanted, sent and acknowledged."}
}

func highestOf(curves []curveLine) float64 {
	high := 0.0
	for _, c := range curves {
		for _, p := range c.points {
			high = max(high, p.y)
		}
	}
	return high
}

// statusPlot stacks the answers of each second.
func (r *Report) statusPlot(all []bin, x axis) figure {
	kinds := map[string]bool{}
	high := 0.0
	for i := range all {
		sum := 0.0
		for status, n := range all[i].Statuses {
			kinds[status] = true
			sum += float64(n) / all[i].seconds
		}
		high = max(high, sum)
	}
	order := slices.Sorted(maps.Keys(kinds))
	slices.SortStableFunc(order, func(a, b string) int { return statusRank(a) - statusRank(b) })
	y := linear(high*1.05, 5, "")
	s := newSVG("Answers a second")
	s.band(x, 0, r.WarmUp, "warm-up")
	s.axes(x, y)
	for i := range all {
		b := &all[i]
		below := 0.0
		left, right := xOf(x, float64(b.At)), xOf(x, float64(b.At)+b.seconds)
		gap := min(1.5, (right-left)/4)
		for _, status := range order {
			n := float64(b.Statuses[status]) / b.seconds
			if n == 0 {
				continue
			}
			top, bottom := yOf(y, below+n), yOf(y, below)
			fmt.Fprintf(s, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>second %d: %s, %d batches</title></rect>`,
				statusClass(status), left, top, right-left-gap, bottom-top, b.At, statusName(status), b.Statuses[status])
			below += n
		}
	}
	f := figure{Title: "Answers a second", SVG: s.html(), Note: "Batches by the status of their answer."}
	for _, status := range order {
		f.Legend = append(f.Legend, legend{statusClass(status), statusName(status), false})
	}
	return f
}

func statusName(status string) string {
	if status == "0" {
		return "no answer"
	}
	return status
}

// statusClass is the style of an answer, by its hundred.
func statusClass(status string) string {
	if status == "0" {
		return "s0"
	}
	return "s" + status[:1]
}

// statusRank puts what went well at the bottom of a stack.
func statusRank(status string) int {
	switch status[:1] {
	case "2":
		return 0
	case "0":
		return 2
	}
	return 1
}
