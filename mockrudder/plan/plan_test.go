package plan_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder/plan"
)

const orderSchema = `{"type":"object","required":["total"],"properties":{"total":{"type":"number","minimum":0}}}`

func ExamplePlan() {
	p, err := plan.New(map[string]json.RawMessage{
		"Order Placed": []byte(`{"type":"object","required":["total"],"properties":{"total":{"type":"number"}}}`),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, message := range []string{
		`{"type":"track","event":"Order Placed","properties":{"total":5}}`,
		`{"type":"track","event":"Order Placed","properties":{"total":"5"}}`,
		`{"type":"track","event":"Order Plaecd","properties":{"total":5}}`,
	} {
		verdict := p.Judge(message)
		fmt.Println(verdict.Valid, verdict.Errors, verdict.Drift)
	}
	// Output:
	// true [] []
	// false [{/properties/total type expected number, got string "5"}] []
	// true [] [{/event unplanned the tracking plan has no event "Order Plaecd"}]
}

func TestJudge(t *testing.T) {
	p, err := plan.New(map[string]json.RawMessage{"Order Placed": []byte(orderSchema), "Strict": []byte(`{"propertyNames":{"pattern":"^a"}}`)})
	require.NoError(t, err)
	for message, want := range map[string]string{
		`{"type":"track","event":"Order Placed","properties":{"total":5,"x":1}}`:           "true",
		` {"event":"Order Placed","type":"track"}`:                                         "false /properties/total required",
		`{"type":"track","event":"Order Placed","properties":null}`:                        "false /properties/total required",
		`{"type":"track","event":"Order Placed","properties":{"total":-1}}`:                "false /properties/total minimum",
		`{"type":"track","event":"Order Placed","properties":7}`:                           "false /properties type",
		`{"type":"track","event":"Order Placed","properties":{"total":1},"properties":{}}`: "true",
		`{"type":"track","event":"Strict","properties":{"a":1}}`:                           "true",
		`{"type":"track","event":"Strict","properties":{"b":1}}`:                           "false /properties/b propertyNames",
		`{"type":"track","event":"order placed"}`:                                          "true drift /event",
		`{"type":"track"}`:                           "true drift /event",
		`{"type":"identify","event":"Order Placed"}`: "true",
		`[]`: "true",
		``:   "true",
	} {
		verdict := p.Judge(message)
		got := fmt.Sprint(verdict.Valid)
		if len(verdict.Errors) > 0 {
			got += " " + verdict.Errors[0].Path + " " + verdict.Errors[0].Rule
		}
		if len(verdict.Drift) > 0 {
			got += " drift " + verdict.Drift[0].Path
		}
		require.Equal(t, want, got, message)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	write("plans/Order Placed.schema.json", orderSchema)
	write("plans/README.md", "")
	write("plans/.schema.json", "of no event")
	for _, path := range []string{write("plan.json", `{"Order Placed":`+orderSchema+`}`), filepath.Join(dir, "plans")} {
		p, err := plan.Read(path)
		require.NoError(t, err)
		require.False(t, p.Judge(`{"type":"track","event":"Order Placed"}`).Valid, path)
		require.Empty(t, p.Judge(`{"type":"track","event":"Order Placed","properties":{"total":1}}`).Drift)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "missing"):                                "no such file",
		write("empty.json", `{}`):                                    "a tracking plan needs events",
		write("list.json", `[]`):                                     "tracking plan " + filepath.Join(dir, "list.json"),
		write("broken.json", `{"A":{"type":7},"B":{"type":"text"}}`): `event "A": `,
		filepath.Dir(write("none/x.json", "{}")):                     "no file is called NAME.schema.json",
	} {
		_, err := plan.Read(path)
		require.ErrorContains(t, err, want)
	}
	_, err := plan.Read(filepath.Join(dir, "broken.json"))
	require.ErrorContains(t, err, `event "B": `, "every mistake is named")
}

// Every draft is enforced, and no keyword is passed over.
func TestDrafts(t *testing.T) {
	const (
		seven    = `"$schema":"http://json-schema.org/draft-07/schema#",`
		nineteen = `"$schema":"https://json-schema.org/draft/2019-09/schema",`
		twenty   = `"$schema":"https://json-schema.org/draft/2020-12/schema",`
	)
	for _, c := range []struct{ schema, good, bad, finding string }{
		{`{"properties":{"l":{"prefixItems":[{"type":"string"},{"type":"number"}]}}}`, `{"l":["a",1]}`, `{"l":["a","b"]}`, "/properties/l/1 type"},
		{`{` + twenty + `"properties":{"a":{}},"unevaluatedProperties":false}`, `{"a":1}`, `{"b":1}`, "/properties/b unevaluatedProperties"},
		{`{"$defs":{"node":{"$dynamicAnchor":"n","type":"string"}},"properties":{"a":{"$dynamicRef":"#n"}}}`, `{"a":"x"}`, `{"a":1}`, "/properties/a type"},
		{`{"properties":{"l":{"contains":{"const":1},"minContains":2}}}`, `{"l":[1,1]}`, `{"l":[1,2]}`, "/properties/l minContains"},
		{`{"dependentRequired":{"a":["b"]}}`, `{"a":1,"b":1}`, `{"a":1}`, "/properties/b dependentRequired"},
		{`{` + nineteen + `"dependentSchemas":{"a":{"required":["b"]}}}`, `{"a":1,"b":1}`, `{"a":1}`, "/properties/b required"},
		{`{` + nineteen + `"properties":{"l":{"items":[{"type":"string"}],"unevaluatedItems":false}}}`, `{"l":["a"]}`, `{"l":["a",1]}`, "/properties/l/1 unevaluatedItems"},
		{`{` + seven + `"properties":{"l":{"items":[{"type":"string"}],"additionalItems":false}},"dependencies":{"a":["b"]}}`, `{"l":["a"]}`, `{"l":[1]}`, "/properties/l/0 type"},
		{`{"dependencies":{"a":["b"]}}`, `{"a":1,"b":1}`, `{"a":1}`, "/properties/b "},
		{`{"$defs":{"s":{"type":"string"}},"properties":{"a":{"$ref":"#/$defs/s"}}}`, `{"a":"x"}`, `{"a":1}`, "/properties/a type"},
		{`{"properties":{"prefixItems":{"type":"string"}}}`, `{"prefixItems":"x"}`, `{"prefixItems":1}`, "/properties/prefixItems type"},
		{`{"anyOf":[{"required":["a"]},{"required":["b"]}]}`, `{"b":1}`, `{}`, "/properties anyOf"},
		{`{"additionalProperties":false,"properties":{"a/b":{}}}`, `{"a/b":1}`, `{"c/d":1}`, "/properties/c~1d additionalProperties"},
		{`{"properties":{"n":{"multipleOf":0.01,"maximum":5}}}`, `{"n":4.35}`, `{"n":1e5000}`, "/properties/n "},
	} {
		p, err := plan.New(map[string]json.RawMessage{"E": json.RawMessage(c.schema)})
		require.NoError(t, err, c.schema)
		good := p.Judge(`{"type":"track","event":"E","properties":` + c.good + `}`)
		require.True(t, good.Valid, "%s %v", c.schema, good.Errors)
		bad := p.Judge(`{"type":"track","event":"E","properties":` + c.bad + `}`)
		require.False(t, bad.Valid, c.schema)
		require.Contains(t, bad.Errors[0].Path+" "+bad.Errors[0].Rule, c.finding)
		require.NotEmpty(t, bad.Errors[0].Detail)
	}
	for schema, want := range map[string]string{
		`{` + seven + `"properties":{"l":{"prefixItems":[]}}}`:     `"prefixItems" at /properties/l/prefixItems checks nothing in draft 7; it is of draft 2020-12`,
		`{` + seven + `"allOf":[{"unevaluatedProperties":false}]}`: `"unevaluatedProperties" at /allOf/0/unevaluatedProperties checks nothing in draft 7`,
		`{` + twenty + `"dependencies":{"a":["b"]}}`:               `"dependencies" at /dependencies checks nothing in draft 2020-12; it is of draft 7 and older`,
		`{"dependencies":{"a":["b"]},"prefixItems":[]}`:            `checks nothing in draft 2020-12`,
		`{"$schema":"https://example.com/mine"}`:                   `$schema "https://example.com/mine" is not known`,
		`{"$ref":"https://example.com/other.json"}`:                `leads out of the schema`,
		`{"properties":{"a":{"$ref":"other.json#/x"}}}`:            `leads out of the schema`,
		`{"properties":{"a":{"pattern":"("}}}`:                     `pattern`,
	} {
		_, err := plan.New(map[string]json.RawMessage{"E": json.RawMessage(schema)})
		require.ErrorContains(t, err, want, schema)
	}
}

// Formats are what their RFCs say.
func TestFormats(t *testing.T) {
	for _, c := range []struct{ format, good, bad string }{
		{"date-time", "2026-01-31T09:30:00Z 2026-01-31t09:30:00.123z 2026-01-31T09:30:00+01:00", "2026-01-31 2026-01-31T09:30:00 09:30:00Z 2026-13-31T09:30:00Z"},
		{"uuid", "61763869-6114-4ab2-bdac-9ba13af24508 61763869-6114-4AB2-BDAC-9BA13AF24508", "61763869 61763869-6114-4ab2-bdac-9ba13af2450g"},
		{"email", "jane@example.com j.o+x@example.com", "Jane<jane@example.com> <jane@example.com> jane @example.com jäne@example.com"},
		{"uri", "https://example.com/a?b", "example.com/a"},
		{"ipv4", "1.2.3.4", "1.2.3.256"},
	} {
		p, err := plan.New(map[string]json.RawMessage{"E": json.RawMessage(`{"properties":{"a":{"format":"` + c.format + `"}}}`)})
		require.NoError(t, err)
		judge := func(value string) bool {
			return p.Judge(`{"type":"track","event":"E","properties":{"a":"` + value + `"}}`).Valid
		}
		for good := range strings.FieldsSeq(c.good) {
			require.True(t, judge(good), good)
		}
		for _, bad := range append(strings.Fields(c.bad), "Jane <jane@example.com>") {
			require.False(t, judge(bad), bad)
		}
	}
}
