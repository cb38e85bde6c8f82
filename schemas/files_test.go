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
