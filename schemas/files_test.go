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

func TestFieldSchema(t *testing.T) {
	for name, tc := range map[string]struct {
		field Field
		want  string
	}{
		"required":       {Field{Type: "string", Required: true}, `{"type": "string"}`},
		"optional":       {Field{Type: "integer"}, `{"type": ["integer", "null"]}`},
		"list":           {Field{Type: "array<string>", Required: true}, `{"type": "array", "items": {"type": "string"}}`},
		"list with null": {Field{Type: "array<string>", Items: "url, an item may be null"}, `{"description": "Items: url, an item may be null.", "type": ["array", "null"], "items": {"type": ["string", "null"]}}`},
		"facts are told": {Field{Type: "string", Required: true, Description: "A number", Format: "E.164", PII: true}, `{"description": "A number. Format: E.164. Personal data.", "type": "string"}`},
		"our own flag":   {Field{Type: "string", Required: true, Personal: true}, `{"description": "Personal data.", "type": "string"}`},
		"known values refuse nothing": {Field{Type: "string", Required: true, Enum: []string{"M", "F"}, Note: "n"},
			`{"description": "Known values are given as examples; new ones may come. Note: n.", "type": "string", "examples": ["M", "F"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := render(fieldSchema(tc.field))
			require.NoError(t, err)
			require.JSONEq(t, tc.want, string(got))
		})
	}
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
