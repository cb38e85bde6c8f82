// Package casefile reads the cases of tests, and what they want, from files.
package casefile

import (
	"os"
	"path/filepath"
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

// RequireFiles compares the files of a directory, but for README.md, with the texts that
// they should have, by name. With write it writes them before.
func RequireFiles(tb testing.TB, dir string, want map[string]string, write bool) {
	tb.Helper()
	if write {
		for name, text := range want {
			require.NoError(tb, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
		}
	}
	entries, err := os.ReadDir(dir)
	require.NoError(tb, err)
	got := map[string]string{}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		require.NoError(tb, err)
		got[entry.Name()] = strings.ReplaceAll(string(text), "\r\n", "\n")
	}
	delete(got, "README.md")
	require.Equal(tb, want, got, "if that is meant, run this test with -update")
}
