package bytecheck

import (
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
