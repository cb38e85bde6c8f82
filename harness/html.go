package harness

import (
	_ "embed" // for the page
	"html/template"
	"io"
	"slices"

	"github.com/currentsbridge/currentsbridge/internal/progress"
	"github.com/currentsbridge/currentsbridge/internal/reportfile"
)

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
