package harness

import (
	_ "embed" // for the page
	"html/template"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/currentsbridge/currentsbridge/internal/progress"
	"github.com/currentsbridge/currentsbridge/internal/reportfile"
)

//go:embed report.html.tmpl
var page string

// tile is a figure at the head of the page.
type tile struct {
	Name, Value string
	Wrong       bool
}

// share is a part of the acknowledged events.
type share struct {
	Class, Name, Value string
	Percent            float64
}

// WriteHTML writes the report as a page of its own.
func (r Report) WriteHTML(w io.Writer) error {
	tiles := []tile{
		{"of " + progress.Grouped(r.Acked) + " acknowledged events delivered", progress.Grouped(r.Delivered), false},
		{"lost", progress.Grouped(r.Lost), r.Lost > 0},
		{"corrupted", progress.Grouped(r.Corrupted), r.Corrupted > 0},
		{"duplicates, at most " + progress.Grouped(r.DuplicateBound), progress.Grouped(r.Duplicates), r.Duplicates > r.DuplicateBound},
		{"kills of the bridge", strconv.Itoa(r.Crashes), false},
		{"events/s delivered", progress.Grouped(int64(r.PerSecond)), false},
	}
	var shares []share
	for _, s := range []struct {
		class, name string
		events      int64
	}{{"delivered", "delivered", r.Delivered}, {"dead", "dead letters", r.Dead}, {"filtered", "filtered", r.Filtered}, {"lost", "lost", r.Lost}} {
		shares = append(shares, share{s.class, s.name, progress.Grouped(s.events), 100 * float64(s.events) / float64(max(r.Acked, 1))})
	}
	var faults []row
	for _, name := range slices.Sorted(maps.Keys(r.Faults)) {
		faults = append(faults, row{Name: name, Value: progress.Grouped(int64(r.Faults[name]))})
	}
	return reportfile.Page(w, page, template.FuncMap{"count": progress.Grouped[int64]}, map[string]any{
		"R": r, "Tiles": tiles, "Shares": shares, "Faults": faults,
		"Rows": slices.DeleteFunc(r.rows(), func(line row) bool { return line.Name == "faults" }),
	})
}
