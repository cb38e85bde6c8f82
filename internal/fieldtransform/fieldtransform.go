// Package fieldtransform makes the field transformations of a Current: what
// becomes of a string field in every event that has it.
package fieldtransform

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/currentsbridge/currentsbridge/schemas"
)

// Transform is what becomes of a string field.
type Transform string

const (
	// Remove makes the value [REDACTED].
	Remove Transform = "remove"
	// Hash makes the value its SHA-256, in hex digits.
	Hash Transform = "hash"
)

// Redacted is the value of a string that was removed.
const Redacted = "[REDACTED]"

// Check names the first field that cannot be transformed.
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

// StringFields are the names of the fields of user and properties that are
// strings in some event type.
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

// Apply replaces strings among the user and the properties of an event. What
// is no event stays as it is.
func Apply(raw []byte, transforms map[string]Transform) []byte {
	if len(transforms) == 0 {
		return raw
	}
	var out []byte
	copied := 0
	whole := members(raw, func(object string, begin, end int) {
		if object != "user" && object != "properties" {
			return
		}
		members(raw[begin:end], func(name string, from, to int) {
			from, to = begin+from, begin+to
			t, chosen := transforms[name]
			var text string
			if chosen && raw[from] == '"' && json.Unmarshal(raw[from:to], &text) == nil {
				out = append(append(out, raw[copied:from]...), t.value(text)...)
				copied = to
			}
		})
	})
	if !whole {
		return raw
	}
	return append(out, raw[copied:]...)
}

// members visits the members of a JSON object with where their values lie. It
// returns false where the text is no object.
func members(object []byte, visit func(name string, from, to int)) bool {
	dec := json.NewDecoder(bytes.NewReader(object))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return false
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return false
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return false
		}
		if key, ok := name.(string); ok {
			end := int(dec.InputOffset())
			visit(key, end-len(value), end)
		}
	}
	return true
}

// value is the JSON text that takes the place of a string.
func (t Transform) value(text string) string {
	if t == Remove {
		return `"` + Redacted + `"`
	}
	sum := sha256.Sum256([]byte(text))
	return `"` + hex.EncodeToString(sum[:]) + `"`
}
