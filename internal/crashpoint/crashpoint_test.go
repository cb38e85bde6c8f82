package crashpoint_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

func TestPointsAreThoseInTheCode(t *testing.T) {
	call := regexp.MustCompile(`crashpoint\.At\("([^"]*)"\)`)
	var passed []string
	err := filepath.WalkDir("../../bridge", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range call.FindAllSubmatch(text, -1) {
			passed = append(passed, string(found[1]))
		}
		return err
	})
	require.NoError(t, err)
	slices.Sort(passed)
	listed := slices.Sorted(slices.Values(crashpoint.Points()))
	require.Equal(t, listed, passed, "each point is passed at one place, and listed")
}
