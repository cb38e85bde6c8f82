// Package casefile reads the cases of tests, and what they want, from files, and
// writes the files that they need.
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
	for line := range strings.SplitSeq(Text(tb, path), "\n") {
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
	if write {
		for name, text := range want {
			require.NoError(tb, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
		}
	}
	entries, err := os.ReadDir(dir)
	require.NoError(tb, err)
	got := map[string]string{}
	for _, entry := range entries {
		got[entry.Name()] = strings.ReplaceAll(Text(tb, filepath.Join(dir, entry.Name())), "\r\n", "\n")
	}
	delete(got, "README.md")
	require.Equal(tb, want, got, "if that is meant, run this test with -update")
}

// Text returns what is in a file.
func Text(tb testing.TB, path string) string {
	text, err := os.ReadFile(path)
	require.NoError(tb, err)
	return string(text)
}

// Temp puts a text into a file of a new directory, and returns its path.
func Temp(tb testing.TB, name, text string) string {
	path := filepath.Join(tb.TempDir(), name)
	require.NoError(tb, os.WriteFile(path, []byte(text), 0o600))
	return path
}
