package gateway

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "  a b ": "a b", "": "", " \u200b ": "", "\u200b \u200b": "", "a\u200bb": "ab", "a\nb\x7f": "ab",
		"\u00ad\ufeff\u2060": "", "\ue000x": "x", "\U000e0041": "", "\u2800\u3164\uffa0\u115f\u034f": "", "\u0378": "", "\u00a0\u3000x": "x",
		"e\u0301": "e\u0301", "\ufffd": "\ufffd", "👨\u200d👩": "👨👩", "名前": "名前",
	} {
		require.Equal(t, want, Clean(in), "%q", in)
	}
	require.Equal(t, "5eff0fc3-0944-48fa-9c04-38f62e3890ca", RudderID("u1", ""))
	require.Equal(t, RudderID("ab", "c"), RudderID("a\u200bb", " c "))
}

// Broken surrogate pairs are read as the gateway was seen to read them.
func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		`"\ude00\ud83d"`: "\ufffd", `"\ude00\ud83dx"`: "\ufffdx", `"\ud83d\u0041"`: "\ufffd", `"\ud83dA"`: "\ufffdA", `"\ud83d\ude00"`: "😀",
		`"\ud83d\ud83d\ud83d"`: "\ufffd\ufffd", `"\ud83d\n\u00e9\/"`: "\ufffd\né/", `"a\\u0041"`: `a\u0041`, `"\u0000"`: "\x00",
	} {
		require.Equal(t, want, unescape(in), in)
		require.Equal(t, want, TextOf(in), in)
	}
}
