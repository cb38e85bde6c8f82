package schemas

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/xeipuuv/gojsonschema"
)

// keyword translates gojsonschema's names of errors to those of JSON Schema,
// where they differ.
func keyword(errorType string) string {
	switch errorType {
	case "invalid_type":
		return "type"
	case "string_gte":
		return "minLength"
	case "array_min_items":
		return "minItems"
	case "number_any_of":
		return "anyOf"
	}
	return errorType
}

// notBlank and rfc3339 open the two patterns of the schemas in rudder/: a text
// that is more than white space, and a time. A test holds them together.
const (
	notBlank = "[^\t\n"
	rfc3339  = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T"
)

// findings turns the errors of gojsonschema into findings, sorted by path, with
// prefix before each path. gojsonschema itself keeps no order.
func findings(errs []gojsonschema.ResultError, prefix string) []Finding {
	out := make([]Finding, 0, len(errs))
	noIdentity := false
	for _, e := range errs {
		f := Finding{Path: pointer(e), Rule: keyword(e.Type())}
		f.describe(e)
		noIdentity = noIdentity || f.Rule == "anyOf"
		out = append(out, f)
	}
	if noIdentity {
		// gojsonschema adds why the likelier of the two ids was none.
		out = slices.DeleteFunc(out, func(f Finding) bool {
			return f.Path == "/userId" || f.Path == "/anonymousId"
		})
	}
	out = ordered(out)
	if prefix != "" {
		for i := range out {
			out[i].Path = prefix + out[i].Path
		}
	}
	return out
}

// ordered sorts findings and leaves one of each place and rule.
func ordered(found []Finding) []Finding {
	slices.SortFunc(found, byPlace)
	return slices.CompactFunc(found, func(a, b Finding) bool { return a.Path == b.Path && a.Rule == b.Rule })
}

func byPlace(a, b Finding) int {
	return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Rule, b.Rule))
}

// describe says what was expected and what was there. It may correct the rule.
func (f *Finding) describe(e gojsonschema.ResultError) {
	got := short(e.Value())
	detail := e.Details()
	switch f.Rule {
	case "required":
		name := fmt.Sprint(detail["property"])
		f.Path += "/" + escape(name)
		f.Detail = "expected a value, got none"
	case "type":
		expected := strings.Trim(fmt.Sprint(detail["expected"]), "[]")
		f.Detail = "expected " + orList(strings.Split(expected, ",")) + ", got " + got
	case "const":
		f.Detail = fmt.Sprintf("expected %v, got %s", detail["allowed"], got)
	case "enum":
		f.Detail = fmt.Sprintf("expected one of %v, got %s", detail["allowed"], got)
	case "minLength":
		f.Detail = "expected text that is not empty, got " + got
	case "minItems":
		f.Detail = "expected at least one item, got " + got
	case "anyOf":
		f.Detail = "expected a userId or an anonymousId that is neither null nor blank, got neither"
	case "format":
		f.Detail = "expected an RFC 3339 time with a zone, got " + got
	case "pattern":
		f.describePattern(detail["pattern"], got)
	default:
		f.Detail = e.Description() + ", got " + got
	}
}

// describePattern tells a blank id from a time. gojsonschema takes a date alone
// for a date-time; the pattern does not, and speaks for the format.
func (f *Finding) describePattern(pattern any, got string) {
	expression := fmt.Sprint(pattern)
	if re, ok := pattern.(*regexp.Regexp); ok {
		expression = re.String()
	}
	switch {
	case strings.HasPrefix(expression, notBlank):
		f.Detail = "expected more than white space, got " + got
	case strings.HasPrefix(expression, rfc3339):
		f.Rule = "format"
		f.Detail = "expected an RFC 3339 time with a zone, got " + got
	default:
		f.Detail = "expected text that matches " + expression + ", got " + got
	}
}

func orList(words []string) string {
	if len(words) < 3 {
		return strings.Join(words, " or ")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// pointer is the JSON pointer of the place where an error was met.
func pointer(e gojsonschema.ResultError) string {
	// The context joins names with a separator of our choice; a NUL stands in
	// no name that the schemas go down to.
	names := strings.Split(e.Context().String("\x00"), "\x00")
	var out strings.Builder
	for _, name := range names[1:] { // the first is gojsonschema's word for the root
		out.WriteString("/" + escape(name))
	}
	return out.String()
}

// escape writes a name as a JSON pointer wants it.
func escape(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}
