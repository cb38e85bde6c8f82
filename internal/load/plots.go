package load

import (
	"fmt"
	"html"
	"html/template"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

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

func positive(v float64) float64 {
	if v > 0 {
		return v
	}
	return math.NaN()
}

func (r *Report) plots() []figure {
	all := bins(r.Series)
	x := span0(float64(len(r.Series)), 10, "seconds")
	return []figure{r.latencyPlot(all, x), r.percentilePlot(), r.ratePlot(all, x), r.statusPlot(all, x)}
}

// linePlot is a figure of lines. warmUp is how much of the x axis the warm-up takes.
func linePlot(title, note string, x, y axis, warmUp float64, curves []curveLine) figure {
	s := newSVG(title)
	s.band(x, 0, warmUp, "warm-up")
	s.axes(x, y)
	s.lines(x, y, curves)
	f := figure{Title: title, Note: note, SVG: s.html()}
	for _, c := range curves {
		f.Legend = append(f.Legend, legend{c.class, c.name, true})
	}
	return f
}

func (r *Report) latencyPlot(all []bin, x axis) figure {
	curves := []curveLine{
		// Where no batch was answered, the oldest wait is shown: a stall is a line that
		// rises.
		timeLine("intended p99", "intended", all, func(b *bin) float64 {
			if b.P99 > 0 {
				return b.P99
			}
			return positive(b.Waiting)
		}),
		timeLine("intended p50", "intended dashed", all, func(b *bin) float64 { return positive(b.P50) }),
		timeLine("service p99", "service", all, func(b *bin) float64 { return positive(b.ServiceP99) }),
		timeLine("service p50", "service dashed", all, func(b *bin) float64 { return positive(b.ServiceP50) }),
	}
	const note = "Of the batches that were answered in each second. Intended: from the instant at which the batch was due; " +
		"service: from its start. In a second without answers the first line is how long the oldest batch had waited."
	return linePlot("Latency over time", note, x, logarithmic(curves), r.WarmUp, curves)
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
	const note = "Of the whole run without the warm-up. Where the curves part, batches waited before they started."
	return linePlot("Latency by percentile", note, x, logarithmic(curves), 0, curves)
}

// ratePlot leaves out the last second, which is never complete.
func (r *Report) ratePlot(all []bin, x axis) figure {
	if len(all) > 1 {
		all = all[:len(all)-1]
	}
	curves := []curveLine{
		timeLine("sent", "sent", all, func(b *bin) float64 { return float64(b.Sent) / b.seconds }),
		timeLine("acknowledged", "acked", all, func(b *bin) float64 { return float64(b.Acked) / b.seconds }),
	}
	if r.Model == "open" {
		curves = append(curves, timeLine("wanted", "wanted dashed", all, func(b *bin) float64 { return b.Wanted }))
	}
	y := linear(highestOf(curves)*1.05, 5, "")
	return linePlot("Events a second", "What was wanted, sent and acknowledged.", x, y, r.WarmUp, curves)
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

// statusRank puts 2XX at the bottom of a stack and missing answers on top.
func statusRank(status string) int {
	switch status[:1] {
	case "2":
		return 0
	case "0":
		return 2
	}
	return 1
}

// The plots are SVG made here, so that the page needs no script and nothing from
// elsewhere. Colours come from the page's style by class.

// Size of a plot and its margins, in the SVG's own units.
const (
	plotWidth, plotHeight = 600.0, 230.0
	leftMargin            = 56.0
	rightMargin           = 14.0
	topMargin             = 8.0
	bottomMargin          = 34.0
)

type point struct{ x, y float64 }

// curveLine is one line of a plot. A point whose y is NaN breaks it.
type curveLine struct {
	name, class string
	points      []point
}

// tickMark is a place on an axis.
type tickMark struct {
	at   float64
	text string
}

// axis turns values into places between 0 and 1.
type axis struct {
	low, high float64
	log       bool
	ticks     []tickMark
	name      string
}

func (a axis) place(v float64) float64 {
	low, high := a.low, a.high
	if a.log {
		low, high, v = math.Log10(low), math.Log10(high), math.Log10(max(v, a.low))
	}
	if high <= low {
		return 0
	}
	return min(max((v-low)/(high-low), 0), 1)
}

func xOf(a axis, v float64) float64 {
	return leftMargin + a.place(v)*(plotWidth-leftMargin-rightMargin)
}

func yOf(a axis, v float64) float64 {
	return plotHeight - bottomMargin - a.place(v)*(plotHeight-topMargin-bottomMargin)
}

// svg is a drawing that grows.
type svg struct{ strings.Builder }

func newSVG(label string) *svg {
	s := &svg{}
	fmt.Fprintf(s, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, plotWidth, plotHeight, html.EscapeString(label))
	return s
}

func (s *svg) text(class string, x, y float64, text string) {
	fmt.Fprintf(s, `<text class="%s" x="%.1f" y="%.1f">%s</text>`, class, x, y, html.EscapeString(text))
}

// axes draws the grid and its labels.
func (s *svg) axes(x, y axis) {
	for _, t := range y.ticks {
		at := yOf(y, t.at)
		fmt.Fprintf(s, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/>`, leftMargin, plotWidth-rightMargin, at, at)
		s.text("tick end", leftMargin-8, at+4, t.text)
	}
	bottom := plotHeight - bottomMargin
	fmt.Fprintf(s, `<line class="base" x1="%g" x2="%g" y1="%g" y2="%g"/>`, leftMargin, plotWidth-rightMargin, bottom, bottom)
	for _, t := range x.ticks {
		at := xOf(x, t.at)
		fmt.Fprintf(s, `<line class="base" x1="%.1f" x2="%.1f" y1="%g" y2="%g"/>`, at, at, bottom, bottom+4)
		s.text("tick middle", at, bottom+17, t.text)
	}
	s.text("tick end", plotWidth-rightMargin, plotHeight-3, x.name)
}

// lines draws curves. A line begins with one of no length, so that a single point
// between gaps is a dot.
func (s *svg) lines(x, y axis, curves []curveLine) {
	for _, c := range curves {
		var path strings.Builder
		next := "M%.1f %.1fh0"
		for _, p := range c.points {
			if math.IsNaN(p.y) {
				next = "M%.1f %.1fh0"
				continue
			}
			fmt.Fprintf(&path, next, xOf(x, p.x), yOf(y, p.y))
			next = "L%.1f %.1f"
		}
		fmt.Fprintf(s, `<path class="line %s" d="%s"/>`, c.class, path.String())
	}
}

// band marks a part of the x axis, such as the warm-up.
func (s *svg) band(x axis, from, to float64, text string) {
	if to <= from {
		return
	}
	left, right := xOf(x, from), xOf(x, to)
	fmt.Fprintf(s, `<rect class="band" x="%.1f" y="%g" width="%.1f" height="%g"/>`,
		left, topMargin, right-left, plotHeight-topMargin-bottomMargin)
	s.text("tick", left+4, topMargin+12, text)
}

func (s *svg) html() template.HTML {
	s.WriteString("</svg>")
	return template.HTML(s.String()) //nolint:gosec // all text in it was escaped above
}

// linear is an axis from 0 with about n ticks at round numbers.
func linear(high float64, n int, name string) axis {
	if !(high > 0) {
		high = 1
	}
	step := math.Pow(10, math.Floor(math.Log10(high/float64(n))))
	for _, m := range []float64{1, 2, 5, 10} {
		if high/(step*m) <= float64(n) {
			step *= m
			break
		}
	}
	a := axis{high: math.Ceil(high/step-1e-9) * step, name: name}
	for v := 0.0; v <= a.high+step/2; v += step {
		a.ticks = append(a.ticks, tickMark{v, short(v)})
	}
	return a
}

// span0 is a linear axis that ends at the highest value.
func span0(high float64, n int, name string) axis {
	a := linear(high, n, name)
	if high > 0 {
		a.high = high
		for len(a.ticks) > 0 && a.ticks[len(a.ticks)-1].at > high {
			a.ticks = a.ticks[:len(a.ticks)-1]
		}
	}
	return a
}

// logarithmic is an axis of powers of ten of milliseconds that holds all of the
// lines.
func logarithmic(curves []curveLine) axis {
	low, high := math.Inf(1), 0.0
	for _, c := range curves {
		for _, p := range c.points {
			if p.y > 0 { // not NaN
				low, high = min(low, p.y), max(high, p.y)
			}
		}
	}
	if high == 0 {
		low, high = 1, 10
	}
	a := axis{low: math.Pow(10, math.Floor(math.Log10(low))), high: math.Pow(10, math.Ceil(math.Log10(high))), log: true}
	if a.high <= a.low {
		a.high = a.low * 10
	}
	for v := a.low; v <= a.high*1.001; v *= 10 {
		a.ticks = append(a.ticks, tickMark{v, shortMillis(v)})
	}
	return a
}

// short writes a number of an axis.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 4, 64) + "M"
	case v >= 1e4:
		return strconv.FormatFloat(v/1e3, 'g', 4, 64) + "k"
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// shortMillis writes milliseconds of an axis.
func shortMillis(v float64) string { return time.Duration(v * 1e6).String() }
