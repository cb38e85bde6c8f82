package currents_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
)

func TestFieldsKeys(t *testing.T) {
	object := []byte(`{"a\u0062c":1,"abc" : [1, 2] ,"abcd":3,"\ud83d\ude00":4}`)
	f := currents.Fields(object)
	require.True(t, f.Next())
	require.True(t, f.Escaped())
	require.True(t, f.KeyIs("abc"))
	require.False(t, f.KeyIs(`a\u0062c`))
	require.Equal(t, "> abc", string(f.AppendKey([]byte("> "))))
	require.True(t, f.Next())
	require.False(t, f.Escaped())
	require.True(t, f.KeyIs("abc"))
	start, end := f.Span()
	require.Equal(t, `"abc" : [1, 2]`, string(object[start:end]))
	member, value := f.Start()
	require.Equal(t, `"abc" : `, string(object[member:value]))
	require.True(t, f.Next())
	require.False(t, f.KeyIs("abc"))
	require.True(t, f.Next())
	require.True(t, f.KeyIs("😀"))
	require.False(t, f.Next())
	require.False(t, f.Next(), "an iterator that has ended stays so")
	for _, other := range []string{``, `[1]`, `"a"`, `null`} {
		f := currents.Fields([]byte(other))
		require.False(t, f.Next(), other)
	}
}

// TestFieldsInner walks into values, leaves them at their end, early, and not
// at all; the outer iterator goes on with the next member each time.
func TestFieldsInner(t *testing.T) {
	object := []byte(`{"a":{"b":1,"c":{"d":[2]}} , "e":{ } ,"f":[{"g":3}],"h":{"i":4},"j":5}`)
	for _, steps := range []int{0, 1, 2, 9} {
		var keys, inside []string
		for f := currents.Fields(object); f.Next(); {
			keys = append(keys, string(f.Key()))
			inner := f.Inner()
			for range steps {
				if inner.Next() {
					inside = append(inside, string(inner.Key())+string(inner.Value()))
				}
			}
			f.Leave(&inner)
			if f.KeyIs("h") {
				require.Equal(t, `{"i":4}`, string(f.Value()))
			}
		}
		require.Equal(t, []string{"a", "e", "f", "h", "j"}, keys)
		want := []string{"b1", `c{"d":[2]}`, "i4"}
		if steps == 1 {
			want = []string{"b1", "i4"}
		}
		require.Equal(t, want[:min(len(want), 3*steps)], append([]string{}, inside...))
	}
}

func TestFirstInside(t *testing.T) {
	for raw, want := range map[string]string{
		`[]`: "", `[ ]`: "", `[1,2]`: "1", `[ "a,]" ]`: `"a,]"`, `[ [1],2]`: "1", `[[[ "x" ],2],3]`: `"x"`, `[{"a":[]} ,1]`: `{"a":[]}`,
		`[[],1]`: "", `[null]`: "null", `{}`: "", `1`: "", `"[1]"`: "", ``: "", `[`: "", `[[`: "",
	} {
		got := currents.FirstInside([]byte(raw))
		require.Equal(t, want, string(got), raw)
		require.Equal(t, want == "", got == nil, raw)
	}
}

// FuzzFields walks anything: it must end and never panic.
func FuzzFields(f *testing.F) {
	for _, seed := range append(unusualBodies(f), `{"a`, `{"a"`, `{"a":`, `{"a":"`, `{"a":"\`, `{"a":[`, `{"a" 1`, `{,`, `{"a":}`) {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		count := 0
		for f := currents.Fields(raw); f.Next(); count++ {
			inner := f.Inner()
			for inner.Next() {
				_, _ = inner.Value(), inner.AppendKey(nil)
			}
			f.Leave(&inner)
			_, _ = f.Value(), f.KeyIs("a")
			start, end := f.Span()
			require.LessOrEqual(t, start, end)
		}
		require.LessOrEqual(t, count, len(raw))
		currents.FirstInside(raw)
	})
}

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
