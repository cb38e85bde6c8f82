package jsonscan

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func seeds() []string {
	return []string{
		`{}`, `[]`, ` {"a":[1,-2.5e+3,true,false,null,"x\u00e9\n"],"b":{"c":{}}} `, `5`, `"x"`, `nul`, `{"a"}`, `{"a":}`, `{"a":1,}`,
		`[1,]`, `[,1]`, `[1 2]`, `{"a":1 "b":2}`, `01`, `-`, `1.`, `.5`, `1e`, `1e+`, `-0`, `0.0`, `"\x"`, `"\u12"`, `"\u12g4"`, "\"\n\"", `"`, `"\`, ``, ` `,
		"\xef\xbb\xbf{}", `{}{}`, `{1:2}`, `{"a":1`, `[`, `[1`, `{"a`, `tru`, `"` + "\xff" + `"`,
	}
}

// The grammar is that of encoding/json, to the letter.
func TestValidAgreesWithEncodingJSON(t *testing.T) {
	for _, s := range seeds() {
		require.Equal(t, json.Valid([]byte(s)), Valid(s), "%q", s)
	}
	deep := strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)
	require.True(t, Valid(deep))
	require.False(t, Valid("["+deep+"]"))
}

func FuzzValid(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		require.Equal(t, json.Valid([]byte(s)), Valid(s), "%q", s)
	})
}

func TestWalk(t *testing.T) {
	s := ` { "a" : [ 1 , "x" ] , "b\u002e" : { } } `
	var keys, values []string
	end := Object(s, 1, 0, func(key string, start int) int {
		end := Value(s, start, 1)
		keys, values = append(keys, key), append(values, s[start:end])
		return end
	})
	require.Equal(t, len(s)-1, end)
	require.Equal(t, []string{"a", "b."}, keys)
	require.Equal(t, []string{`[ 1 , "x" ]`, `{ }`}, values)
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		`"plain"`: "plain", `""`: "", `"a\nb"`: "a\nb", `"\ud83d\ude00"`: "😀", `"\ud800"`: "\ufffd", `"é"`: "é", "\"\xff\"": "\ufffd",
	} {
		require.Equal(t, want, Text(in), in)
	}
}
