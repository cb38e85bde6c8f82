package schemas_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

func TestMessage(t *testing.T) {
	for _, tt := range casefile.Read(t, "testdata/messages.tsv", 3) {
		verdict := validator().Message([]byte(tt[2]))
		require.Equal(t, tt[1] == "", verdict.Valid, tt[0])
		require.Equal(t, tt[1], strings.Join(places(verdict.Errors), ", "), tt[0])
		require.Empty(t, verdict.Drift)
		for _, f := range verdict.Errors {
			require.Regexp(t, `^expected .*, got .`, f.Detail)
			require.NotContains(t, f.Detail, "[^", "a pattern is described in words")
		}
	}
}

func TestMessageType(t *testing.T) {
	require.Equal(t, "page", validator().Message([]byte(`{"type":"page"}`)).Type)
	require.Equal(t, "banana", validator().Message([]byte(`{"type":"banana"}`)).Type)
	require.Empty(t, validator().Message([]byte(`{"type":5}`)).Type)
	require.Equal(t, []string{" invalid_json"}, places(validator().Message([]byte(`{`)).Errors))
}
