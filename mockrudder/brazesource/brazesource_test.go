package brazesource

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/fixtures"
)

const limit = 4_096_000

// Every recorded case of RudderStack's own transformation.
func TestRecordedCases(t *testing.T) {
	cases, err := fixtures.BrazeSourceCases()
	require.NoError(t, err)
	require.Len(t, cases, 114)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			mapper := New()
			if setting, ok := c.Config["customMapping"]; ok {
				mapper, err = WithCustomMapping(setting)
				require.NoError(t, err)
			}
			result, err := mapper.Transform(c.Body, limit)
			if c.Want.Status != 0 {
				var refused *Error
				require.True(t, errors.As(err, &refused), "%v", err)
				require.Equal(t, Error{c.Want.Status, c.Want.Error}, *refused)
				return
			}
			require.NoError(t, err)
			require.Len(t, result.Messages, len(c.Want.Messages))
			for i, want := range c.Want.Messages {
				require.JSONEq(t, string(want), result.Messages[i].JSON)
				require.True(t, json.Valid([]byte(result.Messages[i].Raw)))
			}
		})
	}
}
