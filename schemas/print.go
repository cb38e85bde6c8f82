package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
)

// width is how long a line may be before an object or an array is spread over
// several lines.
const width = 120

// render writes v as JSON that reads well and diffs well: whatever fits on one
// line stands on one line, so that a field of a schema is a line of a diff. The
// outermost value is always spread out.
func render(v any) ([]byte, error) {
	var compact bytes.Buffer
	enc := json.NewEncoder(&compact)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(&compact)
	dec.UseNumber()
	root, err := readNode(dec)
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	root.spread(&out, "")
	out.WriteByte('\n')
	return []byte(out.String()), nil
}

// node is a JSON value that still knows the order of its members.
type node struct {
	open, end string   // brackets; empty for a scalar
	keys      []string // rendered keys of an object
	values    []node
	scalar    string
}

func readNode(dec *json.Decoder) (node, error) {
	tok, err := dec.Token()
	if err != nil {
		return node{}, err
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		s, err := scalarText(tok)
		return node{scalar: s}, err
	}
	n := node{open: "[", end: "]"}
	if delim == '{' {
		n = node{open: "{", end: "}"}
	}
	for dec.More() {
		if delim == '{' {
			key, err := dec.Token()
			if err != nil {
				return node{}, err
			}
			s, err := scalarText(key)
			if err != nil {
				return node{}, err
			}
			n.keys = append(n.keys, s+": ")
		}
		value, err := readNode(dec)
		if err != nil {
			return node{}, err
		}
		n.values = append(n.values, value)
	}
	_, err = dec.Token()
	return n, err
}

// scalarText renders a scalar. What cannot be seen in print, such as the white space
// of other scripts, is escaped.
func scalarText(v any) (string, error) {
	var encoded, out strings.Builder
	enc := json.NewEncoder(&encoded)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	for _, r := range strings.TrimSuffix(encoded.String(), "\n") {
		if unicode.IsPrint(r) || r > 0xffff {
			out.WriteRune(r)
		} else {
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String(), nil
}

func (n node) key(i int) string {
	if n.keys == nil {
		return ""
	}
	return n.keys[i]
}

// line is the value on one line.
func (n node) line() string {
	if n.open == "" {
		return n.scalar
	}
	parts := make([]string, len(n.values))
	for i, v := range n.values {
		parts[i] = n.key(i) + v.line()
	}
	return n.open + strings.Join(parts, ", ") + n.end
}

// spread writes the members on lines of their own.
func (n node) spread(out *strings.Builder, indent string) {
	if len(n.values) == 0 {
		out.WriteString(n.line())
		return
	}
	out.WriteString(n.open + "\n")
	inner := indent + "  "
	for i, v := range n.values {
		out.WriteString(inner + n.key(i))
		if one := v.line(); len(inner)+len(n.key(i))+len(one) <= width {
			out.WriteString(one)
		} else {
			v.spread(out, inner)
		}
		if i < len(n.values)-1 {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
	}
	out.WriteString(indent + n.end)
}
