package bridge

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each test that the page on reliability names exists. A name that ends in … is a
// prefix.
func TestReliabilityNamesTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("../docs/reliability.md")
	require.NoError(t, err)
	var tests strings.Builder
	require.NoError(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		tests.Write(text)
		return err
	}))
	names := regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Za-z0-9]+)(…?)`").FindAllStringSubmatch(string(page), -1)
	require.Greater(t, len(names), 50)
	for _, name := range names {
		end := "("
		if name[2] != "" {
			end = ""
		}
		require.True(t, strings.Contains(tests.String(), "\nfunc "+name[1]+end), name[1])
	}
}
