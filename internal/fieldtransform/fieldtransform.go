// Package fieldtransform applies the field transformations of a Current, which change a
// string field in every event that has it.
package fieldtransform

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// Transform is a change of a string field.
type Transform string

const (
	// Remove replaces the value by [REDACTED].
	Remove Transform = "remove"
	// Hash replaces the value by its SHA-256, in hex digits.
	Hash Transform = "hash"
)

// Redacted replaces a removed string.
const Redacted = "[REDACTED]"

// Check returns an error for the first field that cannot be transformed.
func Check(g *schemas.Glossary, transforms map[string]Transform) error {
	known := StringFields(g)
	for _, name := range slices.Sorted(maps.Keys(transforms)) {
		if t := transforms[name]; t != Remove && t != Hash {
			return fmt.Errorf("field_transformations: %s: %q is neither %q nor %q", name, t, Remove, Hash)
		}
		if !known[name] {
			return fmt.Errorf("field_transformations: no event type has a string field %q", name)
		}
	}
	return nil
}

// StringFields are the names of the fields of user and properties that are strings in
// any event type.
func StringFields(g *schemas.Glossary) map[string]bool {
	names := make(map[string]bool)
	for i := range g.Events {
		for _, f := range slices.Concat(g.Events[i].User, g.Events[i].Properties) {
			if f.Type == "string" {
				names[f.Name] = true
			}
		}
	}
	return names
}

// Apply transforms strings in user and properties of an event. Malformed JSON stays as it
// is.
func Apply(raw []byte, transforms map[string]Transform) []byte {
	if len(transforms) == 0 {
		return raw
	}
	w := jsonlex.Walker{Text: string(raw)}
	var out []byte
	copied := 0
	field := func(name string, start int) int {
		end := w.Value(start, 2)
		if t, chosen := transforms[name]; chosen && end != jsonlex.Bad && w.Text[start] == '"' {
			out = append(append(out, raw[copied:start]...), t.value(jsonlex.Text(w.Text[start:end]))...)
			copied = end
		}
		return end
	}
	end := object(&w, jsonlex.Space(w.Text, 0), 0, func(name string, start int) int {
		if name == "user" || name == "properties" {
			return object(&w, start, 1, field)
		}
		return w.Value(start, 1)
	})
	if end == jsonlex.Bad {
		return raw
	}
	return append(out, raw[copied:]...)
}

// object visits the members of an object, and skips any other value.
func object(w *jsonlex.Walker, i, depth int, visit func(name string, start int) int) (end int) {
	if i < len(w.Text) && w.Text[i] == '{' {
		return w.Object(i, depth, visit)
	}
	return w.Value(i, depth)
}

func (t Transform) value(text string) string {
	if t == Remove {
		return `"` + Redacted + `"`
	}
	sum := sha256.Sum256([]byte(text))
	return `"` + hex.EncodeToString(sum[:]) + `"`
}
