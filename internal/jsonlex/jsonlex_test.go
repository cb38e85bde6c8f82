package jsonlex

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func seeds() []string {
	seeds := []string{
		`true`, `tru`, `trues`, `false`, `null`, `0`, `-0`, `-`, `01`, `1.`, `1.5`, `.5`, `1e`, `1e+`, `1E-5`, `1.0e5`, `12345678901234567890`,
		`"`, `""`, `"\`, `"\"`, `"\x"`, `"\u12"`, `"\u12g4"`, `"\u00e9"`, "\"\xff\"", "\"é\"", "\"\x7f\x80\"", `"a"b`,
	}
	for _, unusual := range []string{"\n", "\x00", "\x1f", " ", "\\", `\"`, `\\`, `\u00e9`, `"`, "é", "\xff", "\x80\"", "!", "#", "]", "["} {
		for n := range 18 {
			seeds = append(seeds, `"`+strings.Repeat("x", n)+unusual+`"`, `"`+strings.Repeat("x", n)+unusual+strings.Repeat("y", 17-n)+`"`)
		}
	}
	return seeds
}

// agree holds a text against encoding/json.
func agree(t *testing.T, s string) {
	require.Equal(t, json.Valid([]byte(s)), Valid(s), "%q", s)
	if Valid(s) && s[0] == '"' {
		_, escaped := String(s, 0)
		require.Equal(t, strings.Contains(s, `\`), escaped, "%q", s)
	}
}

func TestAgreesWithEncodingJSON(t *testing.T) {
	for _, s := range append(seeds(), documents()...) {
		agree(t, s)
	}
	deep := strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)
	require.True(t, Valid(deep))
	require.False(t, Valid("["+deep+"]"))
	require.Equal(t, 4, Space(" \r\n\t\v", 0))
}

func FuzzAgreesWithEncodingJSON(f *testing.F) {
	for _, s := range append(seeds(), documents()...) {
		f.Add(s)
	}
	f.Fuzz(agree)
}

func documents() []string {
	return []string{
		`{}`, `[]`, ` {"a":[1,-2.5e+3,true,false,null,"x\u00e9\n"],"b":{"c":{}}} `, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1,"a":[2]}`,
		`[1,]`, `[,1]`, `[1 2]`, `{"a":1 "b":2}`, "\xef\xbb\xbf{}", `{}{}`, `{1:2}`, `{"a":1`, `[`, `[1`, `{"a`, ``, ` `, `5 `, ` "\ud83d\ude00"`,
	}
}

func TestWalk(t *testing.T) {
	s := ` { "a" : [ 1 , "x" ] , "b\u002e" : { } } `
	w := Walker{Text: s}
	var got []string
	end := w.Object(1, 0, func(key string, start int) int {
		end := w.Value(start, 1)
		got = append(got, key, s[start:end])
		return end
	})
	require.Equal(t, len(s)-1, end)
	require.Equal(t, []string{"a", `[ 1 , "x" ]`, "b.", "{ }"}, got)
	require.Equal(t, 2, w.Deepest)
}

func TestAppendString(t *testing.T) {
	for _, s := range []string{"", "plain", `"quoted" \ back`, "line\nbreak\ttab\x00nul\x1f", "näher 東京 🎂", "\u2028"} {
		var got string
		require.NoError(t, json.Unmarshal(AppendString(nil, s), &got))
		require.Equal(t, s, got)
	}
	var got string
	require.NoError(t, json.Unmarshal(AppendString(nil, "a\xffb\xc3"), &got))
	require.Equal(t, "a\uFFFDb\uFFFD", got)
}
