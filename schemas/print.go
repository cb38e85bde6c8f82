package schemas

import (
	"bytes"
	"encoding/json"
	"strings"
)

// width is how long a line may be before an object or an array is spread over
// several lines.
const width = 120

// render writes v as JSON for people: a value that fits on one line is on one line,
// so that a field of a schema is one line of a diff.
func render(v any) ([]byte, error) {
	var indented bytes.Buffer
	enc := json.NewEncoder(&indented)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	var lines []string
	var open []int // the lines that begin what is not closed yet
	for line := range strings.Lines(indented.String()) {
		line = strings.TrimSuffix(line, "\n")
		lines = append(lines, line)
		closing := strings.Trim(line, " ,")
		switch {
		case strings.HasSuffix(line, "{") || strings.HasSuffix(line, "["):
			open = append(open, len(lines)-1)
		case closing == "}" || closing == "]":
			begin := open[len(open)-1]
			open = open[:len(open)-1]
			var inner []string
			for _, part := range lines[begin+1 : len(lines)-1] {
				inner = append(inner, strings.TrimSpace(part))
			}
			one := lines[begin] + strings.Join(inner, " ") + strings.TrimSpace(line)
			if len(strings.TrimSuffix(one, ",")) <= width {
				lines = append(lines[:begin], one)
			}
		}
	}
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}
