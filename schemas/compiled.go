package schemas

import (
	"errors"
	"fmt"
	"strings"

	"github.com/xeipuuv/gojsonschema"

	"github.com/currentsbridge/currentsbridge/schemas/internal/bytecheck"
)

// Compiled is a JSON Schema of the user's own, made by Compile. It may be used
// from many goroutines at once.
type Compiled struct {
	rules   // without a checker where the schema asks for more than that can tell
	indexes indexes
}

// Compile reads a JSON Schema. It is taken as draft 7, whatever it calls
// itself; keywords that draft 7 does not have are ignored, as the drafts say. It
// must stand alone: an error names a $ref that leads out of the document, which
// is neither fetched nor opened. Other errors are for what is no schema.
//
// Documents that keep to the schema are judged without decoding them unless it
// uses uniqueItems, contains, dependencies, propertyNames, patternProperties,
// additionalItems, a list of items, a constant that is an object or array, a
// $ref to another place than definitions or $defs, or a keyword unknown to
// draft 7. Such a schema says the same, some twenty times slower.
func Compile(schema []byte) (*Compiled, error) {
	doc, err := decode(schema)
	if err != nil {
		return nil, err
	}
	if ref, out := leadsOut(doc); out {
		return nil, fmt.Errorf("$ref %q leads out of the schema; put what it names under definitions and refer to it as #/definitions/NAME", ref)
	}
	c := &Compiled{}
	if c.schema, err = compileSchema(schema); err != nil {
		return nil, err
	}
	if c.checker, err = bytecheck.Compile(schema); err != nil && !errors.Is(err, bytecheck.ErrUnsupported) {
		return nil, err
	}
	return c, nil
}

// leadsOut finds a reference to another document.
func leadsOut(doc any) (ref string, found bool) {
	switch doc := doc.(type) {
	case []any:
		for _, item := range doc {
			if ref, found = leadsOut(item); found {
				return ref, true
			}
		}
	case map[string]any:
		if ref, found = doc["$ref"].(string); found && !strings.HasPrefix(ref, "#") {
			return ref, true
		}
		for _, member := range doc {
			if ref, found = leadsOut(member); found {
				return ref, true
			}
		}
	}
	return "", false
}

// Judge holds a JSON document against the schema. The verdict has no type and
// no drift.
func (c *Compiled) Judge(raw []byte) Verdict {
	if c.walk(raw) {
		return Verdict{Valid: true}
	}
	doc, err := decode(raw)
	if err != nil {
		return notJSON(err)
	}
	errs, err := c.validate(doc)
	if err != nil {
		return Verdict{Errors: []Finding{{"", "internal", err.Error()}}}
	}
	out := Verdict{Errors: ownFindings(errs)}
	return out.done()
}

// walk judges by the bytes. It is false for what is invalid, and always without
// a checker.
func (c *Compiled) walk(raw []byte) bool {
	if c.checker == nil {
		return false
	}
	x := c.indexes.take()
	defer c.indexes.give(x)
	return x.Read(raw) && c.checker.Valid(x, 0)
}

// validate asks gojsonschema, which panics over a number beyond float64 where
// it compares numbers: with const, enum or uniqueItems.
func (c *Compiled) validate(doc any) (errs []gojsonschema.ResultError, err error) {
	defer func() {
		if failure := recover(); failure != nil {
			err = fmt.Errorf("the document cannot be held against the schema, which compares a number too large for that: %v", failure)
		}
	}()
	result, err := c.schema.Validate(gojsonschema.NewRawLoader(doc))
	if err != nil {
		return nil, err
	}
	return result.Errors(), nil
}

// ownKeyword translates gojsonschema's names of errors to the keywords of JSON
// Schema, where they differ and the schemas of this package have no use for them.
func ownKeyword(errorType string) string {
	switch errorType {
	case "array_no_additional_items":
		return "additionalItems"
	case "array_max_items":
		return "maxItems"
	case "array_min_properties":
		return "minProperties"
	case "array_max_properties":
		return "maxProperties"
	case "additional_property_not_allowed":
		return "additionalProperties"
	case "invalid_property_name":
		return "propertyNames"
	case "missing_dependency":
		return "dependencies"
	case "unique":
		return "uniqueItems"
	case "string_lte":
		return "maxLength"
	case "multiple_of":
		return "multipleOf"
	case "number_one_of":
		return "oneOf"
	case "number_all_of":
		return "allOf"
	case "number_not":
		return "not"
	case "number_gte":
		return "minimum"
	case "number_gt":
		return "exclusiveMinimum"
	case "number_lte":
		return "maximum"
	case "number_lt":
		return "exclusiveMaximum"
	case "condition_then":
		return "then"
	case "condition_else":
		return "else"
	}
	return keyword(errorType)
}

// ownFindings turns the errors of gojsonschema over a user's schema into
// findings, sorted by path.
func ownFindings(errs []gojsonschema.ResultError) []Finding {
	var out []Finding
	for _, e := range errs {
		f := Finding{Path: pointer(e), Rule: ownKeyword(e.Type())}
		switch f.Rule {
		case "required", "type", "const", "enum":
			f.describe(e)
		case "additionalProperties":
			f.Path += "/" + escape(fmt.Sprint(e.Details()["property"]))
			f.Detail = "expected no such field, got " + short(e.Value())
		default:
			f.Detail = e.Description() + ", got " + short(e.Value())
		}
		out = append(out, f)
	}
	return ordered(out)
}
