package plan

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/currentsbridge/currentsbridge/schemas"
)

// schema is one compiled JSON Schema.
type schema struct {
	compiled *jsonschema.Schema
	printer  *message.Printer
}

// compile reads a JSON Schema, as New describes. The error names a keyword that the
// draft does not have, which would check nothing, or a $ref to another document, which
// is neither fetched nor opened.
func compile(text string) (*schema, error) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	draft, err := draftOf(doc)
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(standsAlone{})
	c.DefaultDraft(draft)
	c.AssertFormat()
	c.RegisterFormat(&jsonschema.Format{Name: "email", Validate: email})
	if err := c.AddResource(location, doc); err != nil {
		return nil, err
	}
	compiled, err := c.Compile(location)
	if err != nil {
		return nil, readable(err)
	}
	return &schema{compiled, message.NewPrinter(language.English)}, nil
}

// email checks an email address (RFC 5321), without a name. The library accepts one
// without anything before the @.
func email(v any) error {
	text, isText := v.(string)
	if !isText {
		return nil
	}
	address, err := mail.ParseAddress(text)
	if err != nil {
		return err
	}
	if address.Address != text || strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII }) {
		return errors.New("not an address alone")
	}
	return nil
}

// location is the URL of a schema for the library.
const location = "plan:///schema"

// standsAlone opens no other document.
type standsAlone struct{}

func (standsAlone) Load(url string) (any, error) {
	return nil, fmt.Errorf("%q leads out of the schema; put what it names under $defs and refer to it as #/$defs/NAME", strings.TrimPrefix(url, "plan:///"))
}

// readable is the error of the library without its name of the document.
func readable(err error) error {
	if invalid, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		err = invalid.Err
	}
	return errors.New(strings.ReplaceAll(strings.ReplaceAll(err.Error(), location+"#", ""), location, "the schema"))
}

// The drafts of JSON Schema that a plan may use.
const (
	draft4 = iota
	draft6
	draft7
	draft2019
	draft2020
)

var drafts = []struct {
	name string
	*jsonschema.Draft
}{
	draft4:    {"draft 4", jsonschema.Draft4},
	draft6:    {"draft 6", jsonschema.Draft6},
	draft7:    {"draft 7", jsonschema.Draft7},
	draft2019: {"draft 2019-09", jsonschema.Draft2019},
	draft2020: {"draft 2020-12", jsonschema.Draft2020},
}

// span are the first and the last draft that have a keyword.
type span struct{ first, last int }

// keywords are those that some drafts do not have, and that check or name something.
// items as a list is "items[]".
var keywords = map[string]span{
	"const": {draft6, draft2020}, "contains": {draft6, draft2020}, "propertyNames": {draft6, draft2020},
	"if": {draft7, draft2020}, "then": {draft7, draft2020}, "else": {draft7, draft2020},
	"$anchor": {draft2019, draft2020}, "dependentRequired": {draft2019, draft2020}, "dependentSchemas": {draft2019, draft2020},
	"minContains": {draft2019, draft2020}, "maxContains": {draft2019, draft2020},
	"unevaluatedItems": {draft2019, draft2020}, "unevaluatedProperties": {draft2019, draft2020},
	"$recursiveRef": {draft2019, draft2019}, "$recursiveAnchor": {draft2019, draft2019},
	"prefixItems": {draft2020, draft2020}, "$dynamicRef": {draft2020, draft2020}, "$dynamicAnchor": {draft2020, draft2020},
	"dependencies": {draft4, draft7}, "additionalItems": {draft4, draft2019}, "items[]": {draft4, draft2019}, "id": {draft4, draft4},
}

// draftOf is the draft of a schema.
func draftOf(doc any) (*jsonschema.Draft, error) {
	object, _ := doc.(map[string]any)
	first, last := draft7, draft2020
	if declared, isText := object["$schema"].(string); isText {
		url := func(s string) string { return strings.TrimSuffix(strings.Replace(s, "https:", "http:", 1), "#") }
		for first = draft2020; first >= 0 && url(drafts[first].String()) != url(declared); {
			first--
		}
		if last = first; first < 0 {
			return nil, fmt.Errorf("$schema %q is not known: use draft 4, 6, 7, 2019-09 or 2020-12", declared)
		}
	}
	var conflict error
	for draft := first; draft <= last; draft++ {
		if conflict = foreign(doc, "", draft); conflict == nil {
			return drafts[draft].Draft, nil
		}
	}
	return nil, conflict
}

// foreign finds a keyword that a draft does not have.
func foreign(doc any, at string, draft int) error {
	object, _ := doc.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		_, isList := object[name].([]any)
		lookup := name
		if name == "items" && isList {
			lookup = "items[]"
		}
		if has, some := keywords[lookup]; some && (draft < has.first || draft > has.last) && (name != "id" || at == "") {
			return fmt.Errorf("the keyword %q at %s/%s checks nothing in %s; it is of %s", name, at, name, drafts[draft].name, draftsOf(has))
		}
		if err := foreignBelow(object[name], name, at+"/"+name, draft); err != nil {
			return err
		}
	}
	return nil
}

// draftsOf names the drafts of a span.
func draftsOf(s span) string {
	switch {
	case s.first == s.last:
		return drafts[s.first].name
	case s.last == draft2020:
		return drafts[s.first].name + " and newer"
	}
	return drafts[s.last].name + " and older"
}

// foreignBelow checks the schemas under a keyword.
func foreignBelow(value any, name, at string, draft int) error {
	below := func(value any, at string) error { return foreign(value, at, draft) }
	switch name {
	case "properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies":
		object, _ := value.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(object)) {
			if err := below(object[key], at+"/"+key); err != nil {
				return err
			}
		}
	case "allOf", "anyOf", "oneOf", "prefixItems", "items", "additionalItems", "additionalProperties", "not", "if", "then", "else",
		"contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties", "contentSchema":
		list, isList := value.([]any)
		if !isList {
			return below(value, at)
		}
		for i, one := range list {
			if err := below(one, fmt.Sprintf("%s/%d", at, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// judge validates JSON text by the schema. path is the prefix of the paths of findings.
func (s *schema) judge(text, path string) (found []schemas.Finding) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return []schemas.Finding{{Path: path, Rule: "invalid_json", Detail: err.Error()}}
	}
	defer func() {
		if failure := recover(); failure != nil { // a number that is too large for the library
			found = []schemas.Finding{{Path: path, Rule: "internal", Detail: fmt.Sprintf("the value cannot be held against the schema: %v", failure)}}
		}
	}()
	var invalid *jsonschema.ValidationError
	if !errors.As(s.compiled.Validate(doc), &invalid) {
		return nil
	}
	found = s.findings(invalid, doc, path)
	slices.SortStableFunc(found, func(a, b schemas.Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Rule, b.Rule))
	})
	return slices.Compact(found)
}

// findings are the errors that say what is wrong. Those that only lead to others are
// left out, and so are the reasons why each of several alternatives does not match.
func (s *schema) findings(e *jsonschema.ValidationError, doc any, path string) (found []schemas.Finding) {
	var to strings.Builder
	to.WriteString(path)
	for _, token := range e.InstanceLocation {
		to.WriteString("/" + escape(token))
	}
	at := to.String()
	finding := func(at, rule string) schemas.Finding {
		return schemas.Finding{Path: at, Rule: rule, Detail: e.ErrorKind.LocalizedString(s.printer)}
	}
	each := func(names []string, rule, detail string) (found []schemas.Finding) {
		for _, name := range names {
			found = append(found, schemas.Finding{Path: at + "/" + escape(name), Rule: rule, Detail: detail})
		}
		return found
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		return each(k.Missing, "required", "expected a value, got none")
	case *kind.AdditionalProperties:
		return each(k.Properties, "additionalProperties", "expected no such field")
	case *kind.DependentRequired:
		return each(k.Missing, "dependentRequired", fmt.Sprintf("expected a value beside %q, got none", k.Prop))
	case *kind.Dependency:
		return each(k.Missing, "dependencies", fmt.Sprintf("expected a value beside %q, got none", k.Prop))
	case *kind.PropertyNames:
		return each([]string{k.Property}, "propertyNames", "this name is not allowed")
	case *kind.Type:
		return []schemas.Finding{{Path: at, Rule: "type", Detail: fmt.Sprintf("expected %s, got %s%s", strings.Join(k.Want, " or "), k.Got, shown(doc, e.InstanceLocation))}}
	case *kind.FalseSchema:
		return []schemas.Finding{{Path: at, Rule: ruleOf(e, "false"), Detail: "expected no such value"}}
	case *kind.AnyOf, *kind.OneOf, *kind.Not, *kind.Contains, *kind.MinContains, *kind.MaxContains:
		return []schemas.Finding{finding(at, ruleOf(e, ""))}
	}
	if len(e.Causes) == 0 {
		return []schemas.Finding{finding(at, ruleOf(e, "schema"))}
	}
	for _, cause := range e.Causes {
		found = append(found, s.findings(cause, doc, path)...)
	}
	return found
}

// shown is a value of a document as JSON, with a space before it; "" for an object, an
// array, null and long values.
func shown(doc any, location []string) string {
	const longest = 80
	for _, token := range location {
		switch v := doc.(type) {
		case map[string]any:
			doc = v[token]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(v) {
				return ""
			}
			doc = v[i]
		}
	}
	switch doc.(type) {
	case nil, map[string]any, []any:
		return ""
	}
	text, err := json.Marshal(doc)
	if err != nil || len(text) > longest {
		return ""
	}
	return " " + string(text)
}

// ruleOf is the keyword that an error is about.
func ruleOf(e *jsonschema.ValidationError, other string) string {
	names := e.ErrorKind.KeywordPath()
	if len(names) == 0 {
		if i := strings.LastIndexByte(e.SchemaURL, '/'); i >= 0 {
			for _, name := range []string{"unevaluatedProperties", "unevaluatedItems", "additionalItems"} {
				if strings.HasSuffix(e.SchemaURL, "/"+name) {
					return name
				}
			}
		}
		return other
	}
	return names[0]
}

// escape writes a name as a part of a JSON pointer.
func escape(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}
