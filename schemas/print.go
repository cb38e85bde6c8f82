package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// width is how long a line may be before an object or an array is spread over
// several lines.
const width = 120

// render writes v as JSON for people: a value that fits on one line is on one line,
// so that a field of a schema is one line of a diff. The outermost value is always
// spread over several lines.
func render(v any) ([]byte, error) {
	var compact bytes.Buffer
	enc := json.NewEncoder(&compact)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	spread(&out, strings.TrimSpace(compact.String()), "")
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// part is an element of an array, or a member of an object with its key.
type part struct{ key, value string }

// parts splits compact JSON. A scalar has no parts.
func parts(text string) (list []part) {
	w := &jsonlex.Walker{Text: text}
	take := func(key string, start int) int {
		end := w.Value(start, 0)
		list = append(list, part{key, text[start:end]})
		return end
	}
	switch text[0] {
	case '{':
		w.Members(0, 0, func(quoted string, start int) int { return take(visible(quoted)+": ", start) })
	case '[':
		w.Array(0, 0, func(start int) int { return take("", start) })
	}
	return list
}

// line is compact JSON on one line, with spaces.
func line(text string) string {
	if text[0] != '{' && text[0] != '[' {
		return visible(text)
	}
	var words []string
	for _, p := range parts(text) {
		words = append(words, p.key+line(p.value))
	}
	return text[:1] + strings.Join(words, ", ") + text[len(text)-1:]
}

// spread writes each part on a line of its own.
func spread(out *bytes.Buffer, text, indent string) {
	list := parts(text)
	if len(list) == 0 {
		out.WriteString(line(text))
		return
	}
	inner, comma := indent+"  ", ""
	out.WriteString(text[:1])
	for _, p := range list {
		out.WriteString(comma + "\n" + inner + p.key)
		room, one := width-len(inner)-len(p.key), p.value
		if len(one) <= room { // its line is no shorter
			one = line(one)
		}
		if len(one) <= room {
			out.WriteString(one)
		} else {
			spread(out, p.value, inner)
		}
		comma = ","
	}
	out.WriteString("\n" + indent + text[len(text)-1:])
}

// visible escapes characters that are not printable, such as no-break spaces.
func visible(text string) string {
	var out strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) || r > 0xffff {
			out.WriteRune(r)
		} else {
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}
