package check

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder/plan"
)

// The tracking plan validates messages, and Braze events as the messages that they
// become, without the properties that RudderStack's source moves elsewhere.
func TestPlan(t *testing.T) {
	p, err := plan.New(map[string]json.RawMessage{
		"Order Placed":              []byte(`{"required":["total"],"properties":{"total":{"type":"number"}}}`),
		"users.messages.email.Open": []byte(`{"properties":{"email_address":false,"send_id":{"type":"string","maxLength":3}}}`),
	})
	require.NoError(t, err)
	const open = `{"event_type":"users.messages.email.Open","id":"e","time":1700000000,"user":{"user_id":"u","external_user_id":"x"},` +
		`"properties":{"dispatch_id":"d","email_address":"a@b.c","send_id":"%"}}`
	in := `{"type":"track","event":"Order Placed","userId":"u","properties":{"total":"5"}}
{"type":"track","event":"Order Placed","userId":"u","properties":{"total":5}}
{"type":"track","event":"Other","userId":"u"}
` + strings.ReplaceAll(open, "%", "abc") + "\n" + strings.ReplaceAll(open, "%", "abcd") + "\n"

	var out strings.Builder
	report, err := NewReporter("text", &out)
	require.NoError(t, err)
	checker, err := New(Auto, report)
	require.NoError(t, err)
	checker.Plan = p
	require.NoError(t, checker.Stream("in", strings.NewReader(in)))
	summary, err := checker.Close()
	require.NoError(t, err)
	require.Equal(t, Summary{Events: 5, Valid: 3, Invalid: 2, Unplanned: 1, Lines: Lines{5, 5}}, summary)
	require.Contains(t, out.String(), `in:1: track Order Placed: /properties/total: type: tracking plan: expected number, got string "5"`)
	require.Contains(t, out.String(), `in:5: users.messages.email.Open id=e: /properties/send_id: maxLength: tracking plan: `)
	require.Contains(t, out.String(), `unplanned: track Other: /event: unplanned: 1 events, the first at in:3`)
	require.NotContains(t, out.String(), "email_address")
}
