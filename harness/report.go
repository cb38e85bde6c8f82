package harness

import (
	"cmp"
	_ "embed" // for the page
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/progress"
	"github.com/currentsbridge/currentsbridge/internal/reportfile"
)

// Verdicts of a run.
const (
	Pass = "pass"
	Fail = "fail"
)

// Report is what a run found. Its JSON is a contract: other tools read it.
// All counts are events.
type Report struct {
	// Verdict is Pass or Fail; Failures says why, and is empty on a pass.
	Verdict string `json:"verdict"`

	Sent       int64 `json:"events_sent"`      // different events that Braze sent
	Acked      int64 `json:"events_acked"`     // of them answered 2XX by the bridge
	Delivered  int64 `json:"events_delivered"` // different events that reached RudderStack
	Lost       int64 `json:"lost"`             // acked and neither delivered, filtered nor dead
	Corrupted  int64 `json:"corrupted"`        // delivered but not what the mapping says of what was sent
	Invalid    int64 `json:"invalid"`          // against the JSON Schema
	Duplicates int64 `json:"duplicates"`       // deliveries beyond the first
	Dead       int64 `json:"dead"`             // in the bridge's dead letters
	Filtered   int64 `json:"filtered"`         // dropped as the connector says

	TypesSent      int `json:"types_sent"`
	TypesDelivered int `json:"types_delivered"`

	Crashes   int      `json:"crashes"`      // SIGKILLs of the bridge
	Duration  float64  `json:"duration_s"`   // from the first event sent to the last outcome, in seconds
	PerSecond float64  `json:"events_per_s"` // delivered, over the whole duration
	Failures  []string `json:"failures"`

	// Faults counts what happened at RudderStack's side, by name. It is shown and
	// not part of the JSON.
	Faults map[string]int `json:"-"`
	// DuplicateBound is the most duplicates that the faults of this run can explain.
	DuplicateBound int64 `json:"-"`
	// Seed is what the events were made from: the same seed, the same events.
	Seed uint64 `json:"-"`
	// Data is the directory with the bridge's data and log, where it was kept.
	Data string `json:"-"`
}

// Passed says whether the verdict is Pass.
func (r Report) Passed() bool { return r.Verdict == Pass }

// WriteFile writes the report in the format that the file's name says, JSON or
// HTML.
func (r Report) WriteFile(path string) error { return reportfile.Write(path, r.WriteJSON, r.WriteHTML) }

// WriteJSON writes the report as indented JSON.
func (r Report) WriteJSON(w io.Writer) error {
	if r.Failures == nil {
		r.Failures = []string{}
	}
	return reportfile.JSON(w, r)
}

type row struct{ Name, Value, Note string }

func (r Report) rows() []row {
	return []row{
		{"sent", progress.Grouped(r.Sent), ""},
		{"acknowledged", progress.Grouped(r.Acked), ""},
		{"delivered", progress.Grouped(r.Delivered), ""},
		{"lost", progress.Grouped(r.Lost), "acknowledged, and neither delivered, filtered nor dead"},
		{"corrupted", progress.Grouped(r.Corrupted), "delivered, but not what was sent"},
		{"invalid", progress.Grouped(r.Invalid), "against RudderStack's schema"},
		{"duplicates", progress.Grouped(r.Duplicates), "at most " + progress.Grouped(r.DuplicateBound) + " can come of the faults"},
		{"dead", progress.Grouped(r.Dead), "cannot be delivered: no user"},
		{"filtered", progress.Grouped(r.Filtered), ""},
		{"types sent", strconv.Itoa(r.TypesSent), ""},
		{"types delivered", strconv.Itoa(r.TypesDelivered), ""},
		{"faults", cmp.Or(faultText(r.Faults), "none"), ""},
		{"crashes", strconv.Itoa(r.Crashes), ""},
		{"duration", fmt.Sprintf("%.1f s", r.Duration), ""},
		{"events/s", progress.Grouped(int64(r.PerSecond)), ""},
	}
}

// WriteText writes a short table for people; its first line is the verdict.
func (r Report) WriteText(w io.Writer) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%s\n", strings.ToUpper(r.Verdict))
	for _, line := range r.rows() {
		text := fmt.Sprintf("  %-16s %10s", line.Name, line.Value)
		if line.Note != "" {
			text += "   (" + line.Note + ")"
		}
		fmt.Fprintln(&out, text)
	}
	for _, failure := range r.Failures {
		fmt.Fprintf(&out, "  ✗ %s\n", failure)
	}
	if r.Data != "" {
		fmt.Fprintf(&out, "  data and log of the bridge: %s\n", r.Data)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// faultText lists faults by name, "429 ×3, hang ×1".
func faultText(faults map[string]int) string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		names = append(names, name+" ×"+strconv.Itoa(faults[name]))
	}
	return strings.Join(names, ", ")
}

//go:embed report.html.tmpl
var page string

// WriteHTML writes the report as a page of its own.
func (r Report) WriteHTML(w io.Writer) error {
	return reportfile.Page(w, page, template.FuncMap{
		"count":   progress.Grouped[int64],
		"times":   func(n int) string { return progress.Grouped(int64(n)) },
		"whole":   func(rate float64) string { return progress.Grouped(int64(rate)) },
		"percent": func(events int64) float64 { return 100 * float64(events) / float64(max(r.Acked, 1)) },
	}, map[string]any{
		"R": r, "Rows": slices.DeleteFunc(r.rows(), func(line row) bool { return line.Name == "faults" }),
	})
}
