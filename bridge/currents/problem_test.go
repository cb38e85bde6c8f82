package currents_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
)

func TestProblem(t *testing.T) {
	const user = `,"user":{"user_id":"u"}}`
	tests := []struct {
		event string
		want  currents.Reason
	}{
		{`{"event_type":"t"` + user, ""},
		{`5`, currents.NotAnObject}, {`null`, currents.NotAnObject}, {`[]`, currents.NotAnObject}, {`"x"`, currents.NotAnObject}, {`[{"event_type":"t"` + user + `]`, currents.NotAnObject},
		{`{}`, currents.NoEventType}, {`{"a":1` + user, currents.NoEventType}, {`{"event_type":null` + user, currents.NoEventType},
		{`{"event_type":""` + user, currents.NoEventType}, {`{"event_type":0` + user, currents.NoEventType}, {`{"event_type":-0.0e5` + user, currents.NoEventType},
		{`{"event_type":false` + user, currents.NoEventType}, {`{"event_type":"t","event_type":null` + user, currents.NoEventType}, {`{"event_type":1e-400` + user, currents.NoEventType},
		{`{"event_type":5` + user, ""}, {`{"event_type":true` + user, ""}, {`{"event_type":{}` + user, ""}, {`{"event_type":[]` + user, ""}, {`{"event_type":" "` + user, ""}, {`{"event_type":"constructor"` + user, ""},
		{`{"event_type":"t"}`, currents.NoIdentity}, {`{"event_type":"t","user":null}`, currents.NoIdentity}, {`{"event_type":"t","user":[{"user_id":"u"}]}`, currents.NoIdentity},
		{`{"event_type":"t","user":{}}`, currents.NoIdentity}, {`{"event_type":"t","user":{"user_id":"","external_user_id":null}}`, currents.NoIdentity},
		{`{"event_type":"t","user":{"device_id":"d"}}`, currents.NoIdentity}, {`{"event_type":"t","userId":"u"}`, currents.NoIdentity},
	}
	for _, tt := range tests {
		e := scanOne(t, tt.event)
		require.Equal(t, tt.want, e.Problem(), tt.event)
	}
}

func TestUsableIdentities(t *testing.T) {
	for id, want := range map[string]bool{
		`"u"`: true, `" u "`: true, `1`: true, `-1`: true, `0.5`: true, `1e-300`: true, `true`: true, `{}`: true, `[]`: true, `[null]`: true, `"\u0000"`: true, `"0"`: true, `"\ufeff"`: true, `"\ud83d\ude00"`: true, "\"\xff\"": true, `10`: true, `0.0001`: true,
		`null`: false, `""`: false, `0`: false, `-0`: false, `0.00`: false, `0e7`: false, `1e-400`: false, `false`: false,
		`" "`: false, `"\t\n\r\f"`: false, `"\u0020\u00a0"`: false, `"\u2003 \u3000"`: false, "\"\u00a0\u2028\u0085\"": false, `"\u000b"`: false,
	} {
		for _, field := range []string{"user_id", "external_user_id"} {
			e := scanOne(t, fmt.Sprintf(`{"event_type":"t","user":{"%s":%s}}`, field, id))
			require.Equal(t, want, e.Problem() == "", "%s %s", field, id)
		}
		text, ok := currents.AppendID([]byte("x"), []byte(id))
		if ok {
			require.True(t, want, id)
		} else {
			require.Equal(t, "x", string(text))
		}
	}
}
