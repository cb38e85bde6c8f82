package harness

import (
	"fmt"
	"html/template"
	"io"
	"strings"
)

// page is one file without anything to load: it can be mailed or kept beside
// a build.
const page = `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Verdict}}: Braze → bridge → RudderStack</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
  body { max-width: 44rem; margin: 3rem auto; padding: 0 1rem }
  h1 { margin: 0 } h1.pass { color: #18794e } h1.fail { color: #c62a2f }
  table { border-collapse: collapse; width: 100%; margin: 1.5rem 0 }
  td { padding: .3rem .6rem; border-bottom: 1px solid #8884 }
  td:nth-child(2) { text-align: right; font-variant-numeric: tabular-nums }
  td:nth-child(3) { opacity: .7 }
  li { overflow-wrap: anywhere }
</style>
<h1 class="{{.Class}}">{{.Verdict}}</h1>
<p>Braze → bridge → RudderStack, seed {{.Seed}}</p>
<table>
{{- range .Rows}}
<tr><td>{{.Name}}</td><td>{{.Value}}</td><td>{{.Note}}</td></tr>
{{- end}}
</table>
{{- if .Failures}}
<h2>What is wrong</h2>
<ul>
{{- range .Failures}}
<li>{{.}}</li>
{{- end}}
</ul>
{{- end}}
</html>
`

// WriteHTML writes the report as a page of its own.
func (r Report) WriteHTML(w io.Writer) error {
	t, err := template.New("report").Parse(page)
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	err = t.Execute(w, map[string]any{
		"Verdict":  strings.ToUpper(r.Verdict),
		"Class":    r.Verdict,
		"Seed":     r.Seed,
		"Rows":     r.rows(),
		"Failures": r.Failures,
	})
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
