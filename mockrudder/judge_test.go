package mockrudder_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
	"github.com/currentsbridge/currentsbridge/mockrudder/plan"
)

// A single call is judged by the type that its path gives it, whatever the
// message says of its type.
func TestSingleCallsAreJudgedByTheirPath(t *testing.T) {
	for _, c := range []struct {
		path, body string
		want       []string // what is wrong, as path and rule
	}{
		{"/v1/track", `{"event":"E","userId":"u"}`, nil},
		{"/v1/track", `{"userId":"u"}`, []string{"/event required"}},
		{"/v1/track", ` {"type":"page","userId":"u" } `, []string{"/event required"}},
		{"/v1/page", `{"type":"track","userId":"u"}`, nil},
		{"/v1/page", `{"type":5,"userId":"u","t\u0079pe":null}`, nil},
		{"/v1/identify", `{"userId":"u","messageId":5,"timestamp":"soon"}`, []string{"/messageId type", "/timestamp format"}},
		{"/v1/group", `{"userId":"u"}`, []string{"/groupId required"}},
		{"/v1/merge", `{"userId":"u"}`, []string{"/type enum"}},
	} {
		s, err := mockrudder.New()
		require.NoError(t, err)
		t.Cleanup(s.Close)
		require.Equal(t, "200 ok", probe{path: c.path, key: "wkHTTP", body: c.body}.answer(t, s))
		events := s.Events(mockrudder.Filter{})
		require.Len(t, events, 1)
		require.True(t, events[0].Judged)
		require.Equal(t, len(c.want) == 0, events[0].Valid, c.body)
		var got []string
		for _, f := range events[0].Errors {
			require.Equal(t, "message", f.In)
			got = append(got, f.Path+" "+f.Rule)
		}
		require.Equal(t, c.want, got, c.path+c.body)
	}
}

// A tracking plan is one more judge of a message, and of what a webhook event
// became.
func TestPlanVerdicts(t *testing.T) {
	p, err := plan.New(map[string]json.RawMessage{
		"E":      []byte(`{"required":["total"],"properties":{"total":{"type":"number"}}}`),
		"Opened": []byte(`{"properties":{"send_id":{"type":"string","maxLength":3}}}`),
	})
	require.NoError(t, err)
	s, err := mockrudder.New(mockrudder.WithPlan(p),
		mockrudder.WithSource("k", mockrudder.Braze, mockrudder.Renamed(map[string]string{"users.messages.email.Open": "Opened"})))
	require.NoError(t, err)
	t.Cleanup(s.Close)
	for i, c := range []struct{ path, body, errors, drift string }{
		{"/v1/track", `{"event":"E","userId":"u","properties":{"total":1}}`, "", ""},
		{"/v1/track", `{"event":"E","userId":"u"}`, "plan /properties/total required", ""},
		{"/v1/track", `{"event":"F","userId":"u"}`, "", "plan /event unplanned"},
		{"/v1/page", `{"event":"F","userId":"u"}`, "", ""},
		{"/v1/webhook", strings.Replace(brazeOpen, `"send_id":null`, `"send_id":"long"`, 1), "plan /properties/send_id maxLength", ""},
	} {
		require.Equal(t, "200 ok", probe{path: c.path, key: "k", body: c.body}.answer(t, s))
		e := s.Events(mockrudder.Filter{})[i]
		tell := func(findings []mockrudder.Finding) string {
			text := ""
			for _, f := range findings {
				text += f.In + " " + f.Path + " " + f.Rule
			}
			return text
		}
		require.Equal(t, c.errors, tell(e.Errors), c.body)
		require.Equal(t, c.drift, tell(e.Drift), c.body)
		require.Equal(t, c.errors == "", e.Valid)
	}
	got := probe{method: "GET", path: "/_mock/events/5"}.send(s)
	require.Contains(t, got.Body.String(), `"schema":["rudder/track","plan/Opened","braze/users.messages.email.Open"]`)
	got = probe{method: "GET", path: "/_mock/events/3"}.send(s)
	require.Contains(t, got.Body.String(), `"schema":["rudder/track"]`, "the plan has no schema for it")
	require.Len(t, s.Events(mockrudder.Filter{Rule: "unplanned"}), 1)
}
