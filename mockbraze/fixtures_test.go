package mockbraze

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockbraze/journey"
	"github.com/currentsbridge/currentsbridge/schemas"
)

//go:generate go test . -run ^TestFixtures$ -update

// TestFixtures holds fixtures/events against the generator: one event of each
// type with every field, seed 1. With -update it writes them.
func TestFixtures(t *testing.T) {
	const dir = "../fixtures/events"
	glossary, err := schemas.Load()
	require.NoError(t, err)
	validator, err := schemas.NewValidator()
	require.NoError(t, err)
	var all []string // retired ones too
	for i := range glossary.Events {
		all = append(all, glossary.Events[i].Name)
	}
	rounds, err := journey.New(journey.Config{Glossary: glossary, Seed: 1, Types: all})
	require.NoError(t, err)

	want := make(map[string]string)
	for i, name := range rounds.Types() {
		var pretty bytes.Buffer
		require.NoError(t, json.Indent(&pretty, rounds.AppendFull(nil, i), "", "  "))
		pretty.WriteByte('\n')
		verdict := validator.Event(pretty.Bytes())
		require.True(t, verdict.Valid, "%s: %v", name, verdict.Errors)
		require.Empty(t, verdict.Drift, name)
		want[name+".json"] = pretty.String()
	}
	if *update {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		for name, text := range want {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
		}
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, len(want), "files that belong to no event type")
	for name, text := range want {
		got, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, text, strings.ReplaceAll(string(got), "\r\n", "\n"),
			"%s is not what the generator makes; if that is meant, run go generate ./mockbraze", name)
	}
}

var update = flag.Bool("update", false, "write the fixtures instead of only comparing them")
