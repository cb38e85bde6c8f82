package currents_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
)

func TestProblem(t *testing.T) {
	for want, event := range rows(t, "problems.txt") {
		e := scanOne(t, event)
		require.Equal(t, strings.TrimPrefix(want, "ok"), string(e.Problem()), event)
	}
}

// The rows are usable as an event's id and as a user's identity, as an identity alone,
// or as neither.
func TestUsableIdentities(t *testing.T) {
	for want, id := range rows(t, "ids.txt") {
		for _, field := range []string{"user_id", "external_user_id"} {
			e := scanOne(t, fmt.Sprintf(`{"event_type":"t","user":{"%s":%s}}`, field, id))
			require.Equal(t, want != "none", e.Problem() == "", "%s %s", field, id)
		}
		text, ok := currents.AppendID([]byte("x"), []byte(id))
		require.Equal(t, want == "usable", ok, id)
		require.Equal(t, ok, currents.UsableID([]byte(id)))
		require.Equal(t, ok, string(text) != "x")
	}
	for raw, want := range map[string]string{
		`"a\u0062"`: "ab", `" a "`: " a ", `-1.50e3`: "-1.50e3", `9007199254740993`: "9007199254740993", ``: "",
	} {
		text, _ := currents.AppendID(nil, []byte(raw))
		require.Equal(t, want, string(text))
	}
}
