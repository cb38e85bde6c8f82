package load

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	text "text/template"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/currentsbridge/currentsbridge/internal/progress"
	"github.com/currentsbridge/currentsbridge/internal/reportfile"
)

// Report is the result of a run. docs/load.md describes its JSON.
type Report struct {
	Verdict     string    `json:"verdict"` // pass or fail
	Target      string    `json:"target"`  // without the query
	Model       string    `json:"model"`   // open or closed
	Pace        string    `json:"pace"`    // as --rate or --ramp takes it
	Seed        uint64    `json:"seed"`
	Started     time.Time `json:"started"`
	Seconds     float64   `json:"duration_s"` // until the last answer
	WarmUp      float64   `json:"warm_up_s"`
	Connections int       `json:"connections"`
	Batch       int       `json:"batch"`
	Types       int       `json:"types"`

	Events   EventCounts       `json:"events"`
	Warmed   EventCounts       `json:"warm_up_events"`
	Batches  BatchCounts       `json:"batches"`
	Statuses map[string]uint64 `json:"status"`
	Refused  []Refusal         `json:"refused"`
	Failures map[string]uint64 `json:"failures"` // batches without an answer, by cause
	Latency  LatencyPair       `json:"latency"`
	Rate     Rates             `json:"rate"`
	Process  Process           `json:"process"`
	Verify   *Verification     `json:"verify,omitempty"`

	Thresholds  []ThresholdResult `json:"thresholds"`
	Interrupted bool              `json:"interrupted,omitempty"`
	Series      []Second          `json:"series"`
	Percentiles []CurvePoint      `json:"percentiles"`

	measured float64 // seconds after the warm-up
}

// EventCounts counts events.
type EventCounts struct {
	Sent    uint64 `json:"sent"`
	Acked   uint64 `json:"acked"`   // answered 2XX
	Dead    uint64 `json:"dead"`    // of these, dead letters at once, as a bridge's answer says
	Refused uint64 `json:"refused"` // answered otherwise
	Failed  uint64 `json:"failed"`  // not answered
}

// BatchCounts counts batches.
type BatchCounts struct {
	Intended uint64 `json:"intended"`
	Started  uint64 `json:"started"`
	Late     uint64 `json:"late"`    // started more than 100 ms after their instant
	Dropped  uint64 `json:"dropped"` // not begun by the end
}

// LatencyPair is the two times of a batch.
type LatencyPair struct {
	Service  Latencies `json:"service,omitzero"`  // from the start to the answer
	Intended Latencies `json:"intended,omitzero"` // from the intended instant to the answer
}

// Latencies are in milliseconds; all are zero where nothing was measured.
type Latencies struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
}

// Rates are events a second after the warm-up. Batches that were due in the warm-up
// and began after it count here, though in no other figure.
type Rates struct {
	Wanted  float64 `json:"wanted"`  // 0 in the closed model
	Reached float64 `json:"reached"` // sent
	Acked   float64 `json:"acked"`   // of these
}

// Process is what the load generator itself used.
type Process struct {
	CPUSeconds float64 `json:"cpu_s"`
	CPUShare   float64 `json:"cpu_share"` // of the CPU that this process may use
}

// CurvePoint is a point of the curve of percentiles.
type CurvePoint struct {
	Percentile float64 `json:"percentile"`
	Service    float64 `json:"service"`
	Intended   float64 `json:"intended"`
}

func latenciesOf(h *hdrhistogram.Histogram) Latencies {
	if h.TotalCount() == 0 {
		return Latencies{}
	}
	return Latencies{
		P50: percentile(h, 50), P90: percentile(h, 90), P95: percentile(h, 95), P99: percentile(h, 99),
		P999: percentile(h, 99.9), Max: percentile(h, 100), Mean: h.Mean() / 1000,
	}
}

// byName has the names of conditions.
func (l Latencies) byName() map[string]float64 {
	return map[string]float64{"p50": l.P50, "p90": l.P90, "p95": l.P95, "p99": l.P99, "p999": l.P999, "max": l.Max, "mean": l.Mean}
}

// report is called after all workers have ended.
func (r *Run) report(start time.Time, ended time.Duration) *Report {
	rec, c := r.rec, &r.cfg
	rec.finish(ended)
	until := r.until(ended)
	batches := BatchCounts{Intended: rec.measured.started, Started: rec.measured.started, Late: rec.measured.late}
	out := &Report{
		Target: r.Target(), Model: "closed", Pace: c.Pace.String(), Seed: c.Seed, Started: start.UTC(),
		Seconds: ended.Seconds(), WarmUp: c.WarmUp.Seconds(), measured: max(0, (until - c.WarmUp).Seconds()),
		Connections: c.Connections, Batch: c.Batch, Types: len(r.gen.Types()),
		Events: rec.measured.EventCounts, Warmed: rec.warm.EventCounts,
		Statuses: rec.statuses, Refused: rec.refused, Failures: rec.failures,
		Latency: LatencyPair{Service: latenciesOf(rec.times.service), Intended: latenciesOf(rec.times.intended)},
		Series:  rec.series, Percentiles: curveOf(rec.times),
	}
	if out.measured > 0 {
		out.Rate = Rates{Reached: float64(rec.rated.Sent) / out.measured, Acked: float64(rec.rated.Acked) / out.measured}
	}
	if !c.closed() {
		out.Model = "open"
		all := r.batchesUntil(until)
		batches.Intended = all - min(all, r.warmUntil)
		batches.Dropped = batches.Intended - min(batches.Intended, batches.Started)
		if due := (r.due(until) - c.WarmUp).Seconds(); out.measured > 0 && due > 0 {
			out.Rate.Wanted = float64(r.eventsOf(all)-r.eventsOf(r.warmUntil)) / due
		}
	}
	out.Batches = batches
	return out
}

// until is the instant up to which batches were to start. A run of a number of
// events lasts until the next one would have been due, or until the last answer
// where there are no instants.
func (r *Run) until(ended time.Duration) time.Duration {
	if stopped := time.Duration(r.stopped.Load()); stopped > 0 {
		return min(stopped, r.end)
	}
	if r.cfg.closed() {
		return min(ended, r.end)
	}
	return max(r.due(r.end), min(r.rec.lastStart, r.end))
}

// due is the instant at which all of Config.Events are due, or until where that is
// earlier.
func (r *Run) due(until time.Duration) time.Duration {
	if last, ok := r.cfg.Pace.Due(r.cfg.Events); ok {
		return min(last, until)
	}
	return until
}

// curveOf returns percentiles at about even steps of the plot's axis.
func curveOf(t times) (points []CurvePoint) {
	steps := []float64{0, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 92, 94, 95, 96, 97, 98, 98.5, 99, 99.3, 99.5, 99.7, 99.8, 99.9, 99.95, 99.99, 100}
	if t.intended.TotalCount() == 0 {
		return nil
	}
	for _, p := range steps {
		points = append(points, CurvePoint{Percentile: p, Service: percentile(t.service, p), Intended: percentile(t.intended, p)})
	}
	return points
}

// judge evaluates the thresholds. With verification, lost==0 is added unless a
// threshold is about lost.
func (r *Report) judge(run *Run) {
	thresholds := run.cfg.Thresholds
	if r.Verify != nil && !slices.ContainsFunc(thresholds, func(c Condition) bool { return c.about("lost") }) {
		thresholds = append(slices.Clip(thresholds), Condition{text: "lost==0", name: "lost", op: "=="})
	}
	r.Thresholds = []ThresholdResult{}
	r.Verdict = "pass"
	for _, t := range thresholds {
		result := t.result(r)
		r.Thresholds = append(r.Thresholds, result)
		if !result.OK {
			r.Verdict = "fail"
		}
	}
}

// Passed says whether every threshold holds.
func (r *Report) Passed() bool { return r.Verdict == "pass" }

// WriteJSON writes the report as JSON.
func (r *Report) WriteJSON(w io.Writer) error { return reportfile.JSON(w, r) }

// WriteFile writes the report in the format that the file's name says, JSON or
// HTML.
func (r *Report) WriteFile(file string) error {
	return reportfile.Write(file, r.WriteJSON, r.WriteHTML)
}

type fact struct{ Name, Value string }

func counts(numbers ...uint64) string {
	var texts []string
	for _, n := range numbers {
		texts = append(texts, progress.Grouped(n))
	}
	return strings.Join(texts, " · ")
}

func (r *Report) facts() []fact {
	e, b := r.Events, r.Batches
	facts := []fact{
		{"Events sent · acknowledged · refused · failed", counts(e.Sent, e.Acked, e.Refused, e.Failed)},
		{"Events a second sent · acknowledged", rateText(r.Rate.Reached) + " · " + rateText(r.Rate.Acked)},
		{"Time to the last answer", fmt.Sprintf("%.1f s", r.Seconds)},
		{"Connections · events a batch · event types", counts(uint64(r.Connections), uint64(r.Batch), uint64(r.Types))},
		{"CPU of the load itself", fmt.Sprintf("%.1f s, %.0f %% of the machine", r.Process.CPUSeconds, 100*r.Process.CPUShare)},
	}
	if r.Model == "open" {
		facts = append(facts,
			fact{"Events a second wanted", rateText(r.Rate.Wanted)},
			fact{"Batches intended · started · late · dropped", counts(b.Intended, b.Started, b.Late, b.Dropped)})
	}
	if r.WarmUp > 0 {
		facts = append(facts, fact{"Warm-up left out", fmt.Sprintf("%g s, %s events", r.WarmUp, progress.Grouped(r.Warmed.Sent))})
	}
	if v := r.Verify; v != nil && v.Problem != "" {
		facts = append(facts, fact{"Not verified", v.Problem})
	} else if v != nil {
		facts = append(facts,
			fact{"At the far end arrived · dead letters · lost", counts(v.Arrived, v.Dead, v.Lost)},
			fact{"Arrivals beyond the first · not acknowledged", counts(v.Duplicated, v.Unacknowledged)})
	}
	return facts
}

// answers are the batches by status, and those without an answer by cause.
func (r *Report) answers() (all []fact) {
	for _, status := range slices.Sorted(maps.Keys(r.Statuses)) {
		all = append(all, fact{status, batches(r.Statuses[status])})
	}
	for _, failure := range slices.Sorted(maps.Keys(r.Failures)) {
		all = append(all, fact{"no answer: " + failure, batches(r.Failures[failure])})
	}
	return all
}

func batches(n uint64) string {
	if n == 1 {
		return "1 batch"
	}
	return progress.Grouped(n) + " batches"
}

type measure struct {
	Name string
	Latencies
}

func (r *Report) latencies() (answers, far []measure) {
	if r.Model == "open" {
		answers = append(answers, measure{"intended", r.Latency.Intended})
	}
	answers = append(answers, measure{"service", r.Latency.Service})
	if v := r.Verify; v != nil && v.Problem == "" {
		far = []measure{{"answer to far end", v.FromAnswer}, {"intended to far end", v.FromIntended}}
	}
	return answers, far
}

// maxRefused is how many refusals the text report lists.
const maxRefused = 20

//go:embed report.txt.tmpl
var textReport string

//go:embed report.html.tmpl
var pageReport string

// WriteText writes the report for people to read in a terminal.
func (r *Report) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	page, err := text.New("report").Funcs(functions()).Parse(textReport)
	if err == nil {
		err = page.Execute(t, r.view())
	}
	if err = cmp.Or(err, t.Flush()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// WriteHTML writes the report as one page that loads nothing from elsewhere.
func (r *Report) WriteHTML(w io.Writer) error {
	view := r.view()
	view["Plots"] = r.plots()
	return reportfile.Page(w, pageReport, functions(), view)
}

func functions() template.FuncMap {
	return template.FuncMap{
		"ms": millis, "count": progress.Grouped[uint64], "rate": rateText, "batches": batches,
		"px": func(v float64, more ...float64) string {
			for _, d := range more {
				v += d
			}
			return strconv.FormatFloat(v, 'f', 1, 64)
		},
	}
}

func (r *Report) view() map[string]any {
	answers, far := r.latencies()
	return map[string]any{
		"R": r, "Started": r.Started.Format(time.DateTime) + " UTC", "Facts": r.facts(), "Latencies": answers, "Far": far,
		"Status":  r.answers(),
		"Refused": r.Refused[:min(len(r.Refused), maxRefused)], "More": max(0, len(r.Refused)-maxRefused),
	}
}

func rateText(v float64) string {
	if v < 100 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return progress.Grouped(uint64(v + 0.5))
}
