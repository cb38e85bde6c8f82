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

// drafts are those of JSON Schema that a plan may use, with the keywords that not all of
// them have and that check or name something. items as a list is "items[]".
var drafts = []struct {
	name string
	*jsonschema.Draft
	keywords []string
}{
	{"draft 4", jsonschema.Draft4, strings.Fields("id dependencies additionalItems items[]")},
	{"draft 6", jsonschema.Draft6, strings.Fields("dependencies additionalItems items[] const contains propertyNames")},
	{"draft 7", jsonschema.Draft7, strings.Fields("dependencies additionalItems items[] const contains propertyNames if then else")},
	{"draft 2019-09", jsonschema.Draft2019, strings.Fields("additionalItems items[] $recursiveRef $recursiveAnchor " + since2019)},
	{"draft 2020-12", jsonschema.Draft2020, strings.Fields("prefixItems $dynamicRef $dynamicAnchor " + since2019)},
}

const (
	draft7    = 2 // in drafts
	since2019 = "const contains propertyNames if then else $anchor dependentRequired dependentSchemas minContains maxContains " +
		"unevaluatedItems unevaluatedProperties"
)

// draftOf is the draft of a schema.
func draftOf(doc any) (*jsonschema.Draft, error) {
	object, _ := doc.(map[string]any)
	first, last := draft7, len(drafts)-1
	if declared, isText := object["$schema"].(string); isText {
		url := func(s string) string { return strings.TrimSuffix(strings.Replace(s, "https:", "http:", 1), "#") }
		for first = last; first >= 0 && url(drafts[first].String()) != url(declared); {
			first--
		}
		if last = first; first < 0 {
			return nil, fmt.Errorf("$schema %q is not known: use draft 4, 6, 7, 2019-09 or 2020-12", declared)
		}
	}
	var conflict error
	for draft := first; draft <= last; draft++ {
		if conflict = foreign(doc, "", draft, false); conflict == nil {
			return drafts[draft].Draft, nil
		}
	}
	return nil, conflict
}

// foreign finds a keyword that a draft does not have. named says that the keys of an
// object are names of the user's choice.
func foreign(doc any, at string, draft int, named bool) error {
	list, _ := doc.([]any)
	for i, one := range list {
		if err := foreign(one, fmt.Sprintf("%s/%d", at, i), draft, false); err != nil {
			return err
		}
	}
	object, _ := doc.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		keyword, below := name, at+"/"+name
		if _, isList := object[name].([]any); isList && name == "items" {
			keyword = "items[]"
		}
		if some := draftsOf(keyword); !named && some != "" && !slices.Contains(drafts[draft].keywords, keyword) && (name != "id" || at == "") {
			return fmt.Errorf("the keyword %q at %s checks nothing in %s; it is of %s", name, below, drafts[draft].name, some)
		}
		if !named && slices.Contains([]string{"const", "enum", "default", "examples"}, name) {
			continue // values
		}
		names := slices.Contains([]string{"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}, name)
		if err := foreign(object[name], below, draft, names && !named); err != nil {
			return err
		}
	}
	return nil
}

// draftsOf names the drafts that have a keyword, "" where all have it or none.
func draftsOf(keyword string) string {
	var names []string
	for _, d := range drafts {
		if slices.Contains(d.keywords, keyword) {
			names = append(names, d.name)
		}
	}
	switch {
	case len(names) <= 1:
		return strings.Join(names, "")
	case names[len(names)-1] == drafts[len(drafts)-1].name:
		return names[0] + " and newer"
	}
	return names[len(names)-1] + " and older"
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
			i, _ := strconv.Atoi(token) // the validator was there
			doc = v[i]
		}
	}
	switch doc.(type) {
	case nil, map[string]any, []any:
		return ""
	}
	if text, _ := json.Marshal(doc); len(text) <= longest {
		return " " + string(text)
	}
	return ""
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
