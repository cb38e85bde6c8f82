package schemas

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const planSchema = `{
	"$schema": "http://json-schema.org/draft-07/schema#",
	"type": "object",
	"required": ["order_id", "value"],
	"properties": {
		"order_id": {"type": "string", "minLength": 3, "maxLength": 5},
		"value": {"type": "number", "minimum": 0, "exclusiveMaximum": 100, "multipleOf": 0.5},
		"currency": {"enum": ["EUR", "USD"]},
		"items": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"$ref": "#/definitions/item"}},
		"paid": {"not": {"const": false}},
		"by": {"oneOf": [{"const": "card"}, {"type": "string"}]},
		"at": {"format": "date-time"}
	},
	"additionalProperties": false,
	"maxProperties": 6,
	"definitions": {"item": {"if": {"required": ["sku"]}, "then": {"minProperties": 2}, "else": {"required": ["name"]}}}
}`

// Each document is judged twice: by the bytes, and where a keyword forbids
// that; the findings are the same.
func TestCompiled(t *testing.T) {
	fast, err := Compile([]byte(planSchema))
	require.NoError(t, err)
	require.NotNil(t, fast.checker)
	slow, err := Compile([]byte(strings.Replace(planSchema, `"maxProperties"`, `"dependencies": {}, "maxProperties"`, 1)))
	require.NoError(t, err)
	require.Nil(t, slow.checker)
	for document, want := range map[string]string{
		`{"order_id":"abc","value":1.5}`: "",
		`{"order_id":"\u00e4bcde","value":0,"currency":"EUR","items":[{"name":1}],"by":"hand","paid":true}`: "",
		`{"order_id":"ab","value":100}`:                                     "/order_id minLength, /value exclusiveMaximum",
		`{"order_id":"abcdef","value":-0.7}`:                                "/order_id maxLength, /value minimum, /value multipleOf",
		`{"value":"1"}`:                                                     "/order_id required, /value type",
		`{"order_id":"abc","value":1,"currency":"CHF","new/field":1}`:       "/currency enum, /new~1field additionalProperties",
		`{"order_id":"abc","value":1,"items":[]}`:                           "/items minItems",
		`{"order_id":"abc","value":1,"items":[{"sku":1},{},5]}`:             "/items maxItems, /items/0 minProperties, /items/0 then, /items/1 else, /items/1/name required",
		`{"order_id":"abc","value":1,"paid":false,"by":"card","at":"soon"}`: "/at format, /by oneOf, /paid not",
		`{"order_id":"abc","value":1,"a":1,"b":2,"c":3,"d":4,"e":5}`:        " maxProperties, /a additionalProperties, /b additionalProperties, /c additionalProperties, /d additionalProperties, /e additionalProperties",
		`[]`: " type", `{`: " invalid_json", `{"order_id":"abc","value":1}{}`: " invalid_json",
	} {
		verdict := fast.Judge([]byte(document))
		var got []string
		for _, f := range verdict.Errors {
			require.NotEmpty(t, f.Detail)
			got = append(got, f.Path+" "+f.Rule)
		}
		require.Equal(t, want, strings.Join(got, ", "), document)
		require.Equal(t, want == "", verdict.Valid)
		require.Equal(t, want == "", fast.walk([]byte(document)), document)
		require.Equal(t, verdict, slow.Judge([]byte(document)), document)
	}
}

func TestCompileRefuses(t *testing.T) {
	for schema, want := range map[string]string{
		``:                        "got none",
		`5`:                       "schema",
		`{"type":"text"}`:         "text",
		`{"pattern":"("}`:         "regex",
		`{"$ref":"#"}`:            "without end",
		`{"minLength":-1}`:        "minLength",
		`{"properties":{"a":[]}}`: "schema",
		`{"items":{"$ref":"https://example.com/schema.json"}}`: "leads out of the schema",
		`{"allOf":[{"$ref":"file:///etc/hostname"}]}`:          "leads out of the schema",
		`{"uniqueItems":true,"anyOf":[{"$ref":"#"},{}]}`:       "without end",
		`{"$ref":"#/definitions/none","definitions":{"a":{}}}`: "none",
	} {
		_, err := Compile([]byte(schema))
		require.ErrorContains(t, err, want, schema)
	}
}

// gojsonschema cannot compare a number beyond float64, and panics.
func TestCompiledOutlivesHugeNumbers(t *testing.T) {
	for _, schema := range []string{`{"const":1}`, `{"enum":[1,"x"]}`, `{"items":{"const":1}}`, `{"const":[1]}`, `{"uniqueItems":true}`} {
		c, err := Compile([]byte(schema))
		require.NoError(t, err)
		for _, document := range []string{`1e400`, `[1e400]`, `[1,1e999999]`} {
			verdict := c.Judge([]byte(document))
			require.Equal(t, len(verdict.Errors) == 0, verdict.Valid)
		}
		for _, f := range c.Judge([]byte(`[1e400,1e400]`)).Errors {
			require.NotEmpty(t, f.Detail, fmt.Sprint(schema))
		}
	}
	c, err := Compile([]byte(`{"const":1}`))
	require.NoError(t, err)
	require.Equal(t, "internal", c.Judge([]byte(`1e400`)).Errors[0].Rule)
}
