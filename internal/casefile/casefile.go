// Package casefile reads the cases of tests from files.
package casefile

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Read returns the cases of a file, one a line, and of each its columns, between which
// are tabs. Empty lines and those that begin with # are left out; ↵ is a line break.
func Read(tb testing.TB, path string, columns int) (cases [][]string) {
	tb.Helper()
	text, err := os.ReadFile(path)
	require.NoError(tb, err)
	for line := range strings.SplitSeq(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		row := strings.Split(strings.ReplaceAll(line, "↵", "\n"), "\t")
		require.Len(tb, row, columns, "%s: %s", path, line)
		cases = append(cases, row)
	}
	require.NotEmpty(tb, cases, path)
	return cases
}
