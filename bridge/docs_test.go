package bridge

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every key of the configuration stands in the page for operators.
func TestOperationsNameEveryKey(t *testing.T) {
	page, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	keys := append(envKeys(), "name", "token", "tokens", "token_file", "token_files", "max_body", "connectors",
		"filter.allow_properties", "filter.deny_properties")
	for _, key := range keys {
		require.Contains(t, string(page), "`"+key+"`")
	}
	// And each key that a section knows is one of them.
	root := &section{problems: newProblems(map[string]origin{}), values: tree{"connectors": []any{tree{}}}}
	readConfig(root, func(string) origin { return origin{} })
	for _, key := range root.known {
		require.Contains(t, string(page), key)
	}
}
