// Package reportfile writes the reports of mockbraze load and of the harness to
// files: as JSON, or as one page of HTML that loads nothing from elsewhere.
package reportfile

import (
	_ "embed" // for the style
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"strings"
)

//go:embed style.css
var style string

// Check says, before a run, why its report could not be written to a file.
func Check(file string) error {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".json", ".html", ".htm":
	default:
		return fmt.Errorf("a report is FILE.json or FILE.html, not %q", file)
	}
	if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
		return fmt.Errorf("there is no directory %q for it; make it first", filepath.Dir(file))
	}
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return fmt.Errorf("%q is a directory; name a file", file)
	}
	return nil
}

// Write writes a file in the format of its name.
func Write(file string, asJSON, asHTML func(io.Writer) error) error {
	if err := Check(file); err != nil {
		return err
	}
	var text strings.Builder
	write := asHTML
	if strings.EqualFold(filepath.Ext(file), ".json") {
		write = asJSON
	}
	if err := write(&text); err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// JSON writes a report for programs.
func JSON(w io.Writer, report any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(report); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// Page writes a report for people. The template page has the shared style as the
// template "style".
func Page(w io.Writer, page string, functions template.FuncMap, data any) error {
	t, err := template.New("report").Funcs(functions).Parse(page)
	if err == nil {
		_, err = t.New("style").Parse(style)
	}
	if err == nil {
		err = t.Execute(w, data)
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
