package load

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"
)

//go:embed report.html.tmpl
var pageText string

// WriteHTML writes the report as one page that loads nothing from elsewhere.
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{"ms": millis, "count": grouped, "rate": rateText}).Parse(pageText)
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	err = t.Execute(w, map[string]any{
		"R":       r,
		"Started": r.Started.Format(time.DateTime) + " UTC",
		"Facts":   r.facts(),
		"Plots":   r.plots(),
		"Status":  r.answers(),
		"Warning": r.warning(),
	})
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
