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

// A request may be an array of millions of elements: no memory is needed for each, and
// none is kept of a document with as many members.
func TestMemoryOfADocumentIsBounded(t *testing.T) {
	checker, err := Compile([]byte(`{"items":{"items":{"type":"string"}}}`))
	require.NoError(t, err)
	var d Document
	text := []byte("[" + strings.Repeat(`[["a"],5],`, 10_000) + "0]")
	require.True(t, d.Read(text))
	found, _ := d.Check(checker, true)
	require.Len(t, found, 20_000)
	require.Equal(t, Finding{"/0/0", "type", "expected string, got an array of 1"}, found[0])
	require.Less(t, cap(d.nodes), 100)
	require.Equal(t, "an array of 10001", Short(text))

	members := strings.Repeat(`"a":1,`, 100_000)
	require.True(t, d.Read([]byte("{"+members+`"b":1}`)))
	require.Equal(t, "an object of 2", Short([]byte("{"+members+`"b":1}`)))
	require.True(t, d.Read([]byte("{}")))
	require.Less(t, cap(d.nodes), 100)
}
