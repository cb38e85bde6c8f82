package load

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
)

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

// axes draws the grid and what stands beside it.
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

// lines draws curves; a single point between gaps becomes a dot.
func (s *svg) lines(x, y axis, curves []curveLine) {
	for _, c := range curves {
		var path strings.Builder
		command, run := 'M', 0
		var dots []point
		for i, p := range c.points {
			if math.IsNaN(p.y) {
				command, run = 'M', 0
				continue
			}
			fmt.Fprintf(&path, "%c%.1f %.1f", command, xOf(x, p.x), yOf(y, p.y))
			command = 'L'
			run++
			if last := i+1 == len(c.points) || math.IsNaN(c.points[i+1].y); last && run == 1 {
				dots = append(dots, p)
			}
		}
		fmt.Fprintf(s, `<path class="line %s" d="%s"/>`, c.class, path.String())
		for _, p := range dots {
			fmt.Fprintf(s, `<circle class="dot %s" cx="%.1f" cy="%.1f" r="2"/>`, c.class, xOf(x, p.x), yOf(y, p.y))
		}
	}
}

// band marks a stretch of the x axis, such as the warm-up.
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

// span0 is a linear axis that ends where the values do.
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

// logarithmic is an axis of powers of ten that holds all of the lines.
func logarithmic(curves []curveLine, unit func(float64) string) axis {
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
		a.ticks = append(a.ticks, tickMark{v, unit(v)})
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
func shortMillis(v float64) string {
	switch {
	case v >= 1000:
		return strconv.FormatFloat(v/1000, 'g', 4, 64) + " s"
	case v < 1:
		return strconv.FormatFloat(v*1000, 'g', 4, 64) + " µs"
	}
	return strconv.FormatFloat(v, 'g', 4, 64) + " ms"
}
