package currents_test

import (
	"testing"

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
