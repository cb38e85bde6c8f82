package currents_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
)

func TestAppendText(t *testing.T) {
	for raw, want := range map[string]string{
		`""`: "", `"abc"`: "abc", `"\"\\\/\b\f\n\r\t"`: "\"\\/\b\f\n\r\t", `"\u0041\u00e9\u20AC"`: "Aé€", `"x\ud83d\ude00y"`: "x😀y",
		`"\u0000"`: "\x00", `"\ud800"`: "\xed\xa0\x80", `"\udfff!"`: "\xed\xbf\xbf!", `"\ud800\ud83d\ude00"`: "\xed\xa0\x80😀", `"\ud800\n"`: "\xed\xa0\x80\n", "\"\xff\"": "\xff",
	} {
		text, ok := currents.AppendText([]byte("> "), []byte(raw))
		require.True(t, ok)
		require.Equal(t, "> "+want, string(text), raw)
	}
	for _, raw := range []string{``, `"`, `1`, `null`, `{}`, `["a"]`} {
		text, ok := currents.AppendText([]byte("> "), []byte(raw))
		require.False(t, ok, raw)
		require.Equal(t, "> ", string(text))
	}
}

// FuzzAppendText holds AppendText against encoding/json, which puts U+FFFD
// where a string is not Unicode, and checks that nothing else differs.
func FuzzAppendText(f *testing.F) {
	for _, inside := range []string{``, `a`, `\u00e9\ud83d\ude00`, `\\\"\/`, `\ud800\u0061`, "\xff"} {
		f.Add([]byte(inside))
	}
	f.Fuzz(func(t *testing.T, inside []byte) {
		raw := append(append([]byte{'"'}, inside...), '"')
		text, _ := currents.AppendText(nil, raw) // must not panic over anything
		currents.UsableID(raw)
		var want string
		if json.Unmarshal(raw, &want) != nil || !utf8.Valid(text) {
			return
		}
		require.Equal(t, want, string(text))
	})
}

func TestSameNumber(t *testing.T) {
	groups := [][]string{
		{"0", "-0", "0.00", "0e5", "-0.0E-99999999999999999999"},
		{"1", "1.0", "1e0", "10e-1", "0.1E+1", "0.0001e4", "1.000000000000000000000000"},
		{"-1", "-1.0"}, {"10", "1e1"}, {"9007199254740993", "9007199254740993.0", "9.007199254740993e15"}, {"9007199254740992"},
		{"1e400", "10e399"}, {"1e401"}, {"0.5", "5e-1"}, {"-0.5"}, {"1e99999999999999999998"}, {"1e99999999999999999999"},
	}
	for i, group := range groups {
		for j, other := range groups {
			for _, a := range group {
				for _, b := range other {
					far := len(a) > 20 && a[1] == 'e'
					require.Equal(t, i == j && !far, currents.SameNumber([]byte(a), []byte(b)), "%s %s", a, b)
				}
			}
		}
	}
}
