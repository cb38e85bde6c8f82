package schemas

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReleaseIsThatOfTheGlossary(t *testing.T) {
	g, err := Load()
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(g.Version(), Release()+", "), Release())
}
