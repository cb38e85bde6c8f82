package jsonlex

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// texts are documents, and texts that are nearly JSON, alone and within others.
func texts() []string {
	texts := []string{
		`{}`, `[]`, ` {"a":[1,-2.5e+3,true,false,null,"x\u00e9\n"],"b":{"c":{}}} `, `{"a":1,"a":[2]}`, `5 `,
		` "\ud83d\ude00"`, `12345678901234567890`,
		`true`, `false`, `null`, `0`, `-0`, `1.5`, `1E-5`, `1.0e5`, `""`, `"\u00e9"`, "\"\xff\"", "\"é\"", "\"\x7f\x80\"", "{}\r\n\t ",
		``, ` `, "\ufeff{}", `nul`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `[1,]`, `[,1]`, `[1 2]`, `{"a":1 "b":2}`,
		`01`, `-`, `--1`, `1.`, `.5`, `1e`, `1e+`, `+1`, `1x`, `0x1`,
		`"\x"`, `"\u12"`, `"\u12g4"`, "\"\n\"", "\"\x00\"", `"`, `"\`, `"\"`,
		`"12345678`, `"1234567\`, `"1234567\"`, "\"1234567\x1f\"", `"12345678\u000"`,
		`{}{}`, `{} {}`, `{} ]`, `1 ,`, `{1:2}`, `{"a":1`, `[`, `]`, `{`, `}`, `[}`, `{"a":1]`,
		`[1`, `{"a`, `tru`, `trues`, `falsy`, `nulk`, "{}\x00", "{}\v",
		`"a"b`, `{"a":1;}`, `'a'`, `{'a':1}`, `//`, `NaN`,
	}
	for _, text := range texts {
		texts = append(texts, `{"padding, to move the eight bytes":`+text+`, "b" : [`+text+`]}`)
	}
	for _, unusual := range []string{"\n", "\x00", "\x1f", " ", "\\", `\"`, `\\`, `\u00e9`, `"`, "é", "\xff", "\x80\"", "!", "#", "]", "["} {
		for n := range 18 {
			before, after := strings.Repeat("x", n), strings.Repeat("y", 17-n)
			texts = append(texts, `"`+before+unusual+`"`, `"`+before+unusual+after+`"`)
		}
	}
	return texts
}

// agree holds a text against encoding/json.
func agree(t *testing.T, s string) {
	t.Helper()
	require.Equal(t, json.Valid([]byte(s)), Valid(s), "%q", s)
}

func TestAgreesWithEncodingJSON(t *testing.T) {
	for _, s := range texts() {
		agree(t, s)
	}
	deep := strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)
	require.True(t, Valid(deep))
	require.False(t, Valid("["+deep+"]"))
	require.Equal(t, 4, Space(" \r\n\t\v", 0))
}

func FuzzAgreesWithEncodingJSON(f *testing.F) {
	for _, s := range texts() {
		f.Add(s)
	}
	f.Fuzz(agree)
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
