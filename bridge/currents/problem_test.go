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
