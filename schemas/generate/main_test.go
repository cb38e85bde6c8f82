package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/openapitest"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// The files in the repository are what the glossary says.
func TestFilesAreFresh(t *testing.T) {
	require.NoError(t, run("..", true))
}

// Every schema, also those written by hand, is one by the meta-schema of draft
// 7, and its name is its place.
func TestSchemasAreDraft7(t *testing.T) {
	for _, name := range schemas.Names() {
		raw, ok := schemas.Schema(name)
		require.True(t, ok, name)
		openapitest.Schema(t, raw) // by the meta-schema
		require.Contains(t, string(raw), `"$schema": "http://json-schema.org/draft-07/schema#"`, name)
		require.Contains(t, string(raw), `"$id": "https://github.com/currentsbridge/currentsbridge/schemas/`+name+`.schema.json"`)
	}
}

func TestRunWritesWhatIsStale(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "braze"), 0o755))
	gone := filepath.Join(dir, "braze", "users.gone.schema.json")
	require.NoError(t, os.WriteFile(gone, []byte("{}"), 0o600))

	require.ErrorContains(t, run(dir, true), "users.gone.schema.json")
	require.FileExists(t, gone, "a check writes nothing")

	require.NoError(t, run(dir, false))
	require.NoFileExists(t, gone)
	require.NoError(t, run(dir, true))

	open := filepath.Join(dir, "braze", "users.messages.email.Open.schema.json")
	require.NoError(t, os.WriteFile(open, []byte("{}\n"), 0o600))
	require.ErrorContains(t, run(dir, true), "users.messages.email.Open.schema.json")
}
