package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
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
		return nil, fmt.Errorf("expected one JSON document, came more after byte %d", end)
	}
	return tame(doc), nil
}

func jsonError(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("expected a JSON document, came nothing")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("expected a JSON document, came one that is cut off")
	case errors.As(err, &syntax):
		return fmt.Errorf("expected a JSON document, came one that is broken at byte %d: %w", syntax.Offset, err)
	}
	return fmt.Errorf("expected a JSON document: %w", err)
}

// gojsonschema turns numbers into fractions of big integers: 1e999999 costs it
// 50 ms, a million digits two seconds. These limits are far beyond any number
// that Braze or a float64 knows.
const (
	maxExponent = 400
	maxDigits   = 1000
)

// tame brings monstrous numbers within the limits, everywhere in the document.
// Such a number is judged by what is left of it.
func tame(v any) any {
	switch v := v.(type) {
	case json.Number:
		return tameNumber(v)
	case map[string]any:
		for key, member := range v {
			if n, ok := member.(json.Number); ok {
				v[key] = tameNumber(n)
			} else {
				tame(member)
			}
		}
	case []any:
		for i, item := range v {
			v[i] = tame(item)
		}
	}
	return v
}

func tameNumber(n json.Number) json.Number {
	if len(n) > maxDigits {
		n = json.Number(strings.TrimRight(string(n[:maxDigits]), ".eE+-"))
	}
	e := strings.IndexAny(string(n), "eE")
	if e < 0 {
		return n
	}
	// An exponent that fits no int comes as the nearest one, beside the error.
	exponent, _ := strconv.Atoi(string(n[e+1:]))
	if exponent > maxExponent || exponent < -maxExponent {
		exponent = max(-maxExponent, min(exponent, maxExponent))
		return n[:e+1] + json.Number(strconv.Itoa(exponent))
	}
	return n
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
