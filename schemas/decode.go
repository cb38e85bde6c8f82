package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/currentsbridge/currentsbridge/schemas/internal/bytecheck"
)

// decode reads one JSON document. Numbers keep their text, so that an integer
// above 2^53 stays one.
func decode(raw []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var doc any
	if err := dec.Decode(&doc); err != nil {
		return nil, jsonError(err)
	}
	end := dec.InputOffset()
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("expected one JSON document, got more after byte %d", end)
	}
	return clampAll(doc), nil
}

func jsonError(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("expected a JSON document, got none")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("expected a JSON document, got one that is cut off")
	case errors.As(err, &syntax):
		return fmt.Errorf("expected a JSON document, got one that is broken at byte %d: %w", syntax.Offset, err)
	}
	return fmt.Errorf("expected a JSON document: %w", err)
}

// clampAll brings numbers beyond all use within the limits, everywhere in the document.
// gojsonschema would spend seconds on them.
func clampAll(v any) any {
	switch v := v.(type) {
	case json.Number:
		return bytecheck.Clamp(v)
	case map[string]any:
		for key, member := range v {
			if n, ok := member.(json.Number); ok {
				v[key] = bytecheck.Clamp(n)
			} else {
				clampAll(member)
			}
		}
	case []any:
		for i, item := range v {
			v[i] = clampAll(item)
		}
	}
	return v
}

// short describes a value for a finding: its kind and, where it is small, the
// value itself.
func short(v any) string {
	const limit = 48
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean " + strconv.FormatBool(v)
	case json.Number:
		if len(v) > limit {
			v = v[:limit] + "…"
		}
		return "number " + string(v)
	case string:
		if runes := []rune(v); len(runes) > limit {
			return "string " + strconv.Quote(string(runes[:limit])) + "…"
		}
		return "string " + strconv.Quote(v)
	case []any:
		return fmt.Sprintf("an array of %d", len(v))
	case map[string]any:
		return fmt.Sprintf("an object of %d", len(v))
	}
	return fmt.Sprintf("%T", v)
}
