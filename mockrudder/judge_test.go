package mockrudder_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
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
