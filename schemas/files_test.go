package schemas

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What Encode writes is glossary.json itself, so that a refreshed glossary
// differs from it where Braze's facts do and nowhere else.
func TestEncodeWritesTheFile(t *testing.T) {
	g, err := Load()
	require.NoError(t, err)
	want, err := files.ReadFile("glossary.json")
	require.NoError(t, err)
	got, err := g.Encode()
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func TestRender(t *testing.T) {
	long := make([]int, 60)
	got, err := render(members{
		{"z", "<&> é"}, {"a", members{{"k", []string{"x", "y"}}}}, {"empty", members{}},
		{"space", "\u00a0"}, {"long", long[:2]}, {"big", schema{Required: []string{
			"a string of thirty characters.", "a string of thirty characters.", "a string of thirty characters.", "a string of thirty characters.",
		}}},
	})
	require.NoError(t, err)
	require.Equal(t, `{
  "z": "<&> é",
  "a": {"k": ["x", "y"]},
  "empty": {},
  "space": "\u00a0",
  "long": [0, 0],
  "big": {
    "required": [
      "a string of thirty characters.",
      "a string of thirty characters.",
      "a string of thirty characters.",
      "a string of thirty characters."
    ]
  }
}
`, string(got))
}
