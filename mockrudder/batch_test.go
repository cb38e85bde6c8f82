package mockrudder_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
	"github.com/currentsbridge/currentsbridge/mockrudder/plan"
)

// pad puts spaces behind a text until it has n bytes.
func pad(text string, n int) string { return text + strings.Repeat(" ", n-len(text)) }

func TestMessageAsStored(t *testing.T) {
	s := server(t)
	element := `{"type":"track","event":"E","userId":" u ","messageId":" m ","z":1,"a":9007199254740993,"f":1.0,"s":"\ud800<"}`
	require.Equal(t, "200 ok", probe{path: batchPath, key: "wkHTTP", body: `{"batch":[ ` + element + ` ]}`}.answer(t, s))
	e := s.Events(mockrudder.Filter{})[0]
	require.Equal(t, element, e.Raw)
	require.Equal(t, "m", e.MessageID)
	require.Regexp(t, `^\{"a":9007199254740992,"event":"E","f":1,"messageId":"m",.*"s":"�<","type":"track","userId":" u ","z":1\}$`,
		string(e.Message()), "keys are sorted, numbers are float64")
}

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

// A single call is validated by the type of its path, whatever type the message has; a
// message of the webhook as Braze's event too; and each by the tracking plan.
func TestVerdicts(t *testing.T) {
	p, err := plan.New(map[string]json.RawMessage{
		"P":      []byte(`{"required":["total"],"properties":{"total":{"type":"number"}}}`),
		"Opened": []byte(`{"properties":{"send_id":{"type":"string","maxLength":3}}}`),
	})
	require.NoError(t, err)
	s, err := mockrudder.New(mockrudder.WithPlan(p),
		mockrudder.WithSource("k", mockrudder.Braze, mockrudder.Renamed(map[string]string{"users.messages.email.Open": "Opened"})))
	require.NoError(t, err)
	t.Cleanup(s.Close)
	const session = `{"events":[{"event_type":"users.behaviors.app.SessionStart","id":"e","time":"abc","user":{"user_id":"u"},"properties":{"brand_new":1}}]}`
	for i, c := range []struct{ path, body, errors, drift string }{
		{"/v1/track", `{"event":"E","userId":"u"}`, "", "plan /event unplanned"},
		{"/v1/track", `{"userId":"u"}`, "message /event required", "plan /event unplanned"},
		{"/v1/track", ` {"type":"page","userId":"u" } `, "message /event required", ""}, // the plan goes by the type of the message itself
		{"/v1/page", `{"type":"track","userId":"u"}`, "", "plan /event unplanned"},
		{"/v1/page", `{"type":5,"userId":"u","t\u0079pe":null}`, "", ""},
		{"/v1/identify", `{"userId":"u","messageId":5,"timestamp":"soon"}`, "message /messageId type, message /timestamp format", ""},
		{"/v1/group", `{"userId":"u"}`, "message /groupId required", ""},
		{"/v1/merge", `{"userId":"u"}`, "message /type enum", ""},
		{"/v1/track", `{"event":"P","userId":"u","properties":{"total":1}}`, "", ""},
		{"/v1/track", `{"event":"P","userId":"u"}`, "plan /properties/total required", ""},
		{"/v1/page", `{"event":"F","userId":"u"}`, "", ""},
		{"/v1/webhook", strings.Replace(brazeOpen, `"send_id":null`, `"send_id":"long"`, 1), "plan /properties/send_id maxLength", ""},
		{"/v1/webhook", session, "message /timestamp format, event /time type",
			"plan /event unplanned, event /properties/brand_new unknown_field"},
	} {
		require.Equal(t, "200 ok", probe{path: c.path, key: "k", body: c.body}.answer(t, s))
		e := s.Events(mockrudder.Filter{})[i]
		text := func(findings []mockrudder.Finding) string {
			var all []string
			for _, f := range findings {
				all = append(all, f.In+" "+f.Path+" "+f.Rule)
			}
			return strings.Join(all, ", ")
		}
		require.Equal(t, c.errors, text(e.Errors), c.body)
		require.Equal(t, c.drift, text(e.Drift), c.body)
		require.True(t, e.Judged)
		require.Equal(t, c.errors == "", e.Valid)
	}
	require.Len(t, s.Events(mockrudder.Filter{Rule: "unplanned"}), 4)
	require.Equal(t, mockrudder.Counts{Stored: 13, Valid: 5, Invalid: 8, Drift: 4}, s.Stats().Counts)
}
