package bytecheck

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a Checker says of documents is compared with a library by the tests of
// package schemas.

func TestCompileRefusesWhatACheckerDoesNotKnow(t *testing.T) {
	for _, schema := range []string{
		`{"uniqueItems":true}`, `{"additionalProperties":false}`, `{"minimum":1}`, `{"allOf":[]}`, `{"properties":{"a":{"oneOf":[{}]}}}`,
		`{"items":[{}]}`, `{"items":{"minimum":1}}`, `{"const":{}}`, `{"const":5}`, `{"enum":"a"}`, `{"pattern":"("}`, `{"pattern":5}`, `{"properties":[]}`, `{"required":[5]}`, `{"anyOf":[5]}`,
		`{"anyOf":[{"minimum":1}]}`, `{"$ref":"other.json"}`, `{"$ref":"#/properties/a"}`, `{"$ref":"#/definitions/none"}`,
		`{"type":"text"}`, `{"type":5}`, `{"format":"email"}`, `{"minLength":1.5}`, `{"minLength":2}`, `{"minItems":1}`, `5`, `{`,
	} {
		_, err := Compile([]byte(schema))
		require.Error(t, err, schema)
	}
}

func TestDepth(t *testing.T) {
	for _, pair := range [][2]string{{"[", "]"}, {`{"a":`, "}"}} {
		for n, want := range map[int]bool{maxDepth - 1: true, maxDepth: false, 1_000_000: false} {
			_, _, ok := Read(strings.Repeat(pair[0], n)+"[]"+strings.Repeat(pair[1], n), "")
			require.Equal(t, want, ok, n)
		}
	}
}

func TestCheckAllListsUnknownMembers(t *testing.T) {
	checker, err := Compile([]byte(`{"properties":{"a":{"type":"object","properties":{"b":{}}},"c":{}}}`))
	require.NoError(t, err)
	for document, want := range map[string]string{
		`{"a":{"b":1},"c":{"d":1}}`:               "",
		`{"x":1,"a":{"y/z":1,"b":1},"c":{"z":1}}`: "/x=number 1 /a/y~1z=number 1",
		`{"a":{"y":1},"a":{"b":1}}`:               "",
		`{"x":1,"x":2,"\u0061":{"y\u0021":3}}`:    "/x=number 1 /x=number 2 /a/y!=number 3",
		`{"c":null}`:                              "",
	} {
		found, unknown := checker.Check(document, true)
		require.Empty(t, found, document)
		var got []string
		for _, u := range unknown {
			got = append(got, u.Path+"="+u.Detail)
		}
		require.Equal(t, want, strings.Join(got, " "), document)
	}
}
