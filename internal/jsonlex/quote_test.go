package jsonlex

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAppendString(t *testing.T) {
	for _, s := range []string{"", "plain", `"quoted" \ back`, "line\nbreak\ttab\x00nul\x1f", "näher 東京 🎂", "\u2028"} {
		var got string
		require.NoError(t, json.Unmarshal(AppendString(nil, s), &got))
		require.Equal(t, s, got)
	}
	var got string
	require.NoError(t, json.Unmarshal(AppendString(nil, "a\xffb\xc3"), &got))
	require.Equal(t, "a\uFFFDb\uFFFD", got)
}
