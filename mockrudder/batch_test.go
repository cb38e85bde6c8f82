package mockrudder_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
	"github.com/currentsbridge/currentsbridge/mockrudder/plan"
)

// A message nested deeper than encoding/json reads is shown as well as others.
func TestDeepMessage(t *testing.T) {
	const levels = 20_000
	s := server(t)
	batch(s, `{"batch":[{"userId":"u","x":`+strings.Repeat("[", levels)+strings.Repeat("]", levels)+`}]}`)
	deep := `"x":` + strings.Repeat("[", levels) + strings.Repeat("]", levels) + `}`
	require.Contains(t, string(s.Events(mockrudder.Filter{})[0].Message()), deep)
	for _, path := range []string{"/_mock/events", "/_mock/events/1"} {
		require.Contains(t, probe{method: "GET", path: path}.send(s).Body.String(), deep)
	}
}

// A single call is validated by the type of its path, whatever type the message has, but
// for the plan, which goes by that of the message; a message of the webhook as Braze's event
// too; and each by the tracking plan.
func TestVerdicts(t *testing.T) {
	p, err := plan.New(map[string]json.RawMessage{
		"P":      []byte(`{"required":["total"],"properties":{"total":{"type":"number"}}}`),
		"Opened": []byte(`{"properties":{"send_id":{"type":"string","maxLength":3}}}`),
	})
	require.NoError(t, err)
	s, err := mockrudder.New(mockrudder.WithPlan(p),
		mockrudder.WithSource("k", mockrudder.Braze, mockrudder.CustomMapping([]byte(`{"users.messages.email.Open":"Opened"}`))))
	require.NoError(t, err)
	for i, c := range answerCases(t, "verdicts") {
		c.require(t, s)
		e := s.Events(mockrudder.Filter{})[i]
		text := func(findings []mockrudder.Finding) string {
			var all []string
			for _, f := range findings {
				all = append(all, f.In+" "+f.Path+" "+f.Rule)
			}
			return strings.Join(all, ", ")
		}
		require.Equal(t, c.Errors, text(e.Errors), c.Body)
		require.Equal(t, c.Drift, text(e.Drift), c.Body)
		require.True(t, e.Judged)
		require.Equal(t, c.Errors == "", e.Valid)
	}
	require.Len(t, s.Events(mockrudder.Filter{Rule: "unplanned"}), 4)
	require.Equal(t, mockrudder.Counts{Stored: 13, Valid: 5, Invalid: 8, Drift: 4}, s.Stats().Counts)
}
