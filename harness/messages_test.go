package harness_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/harness/oracle"
	"github.com/currentsbridge/currentsbridge/schemas"
)

//go:generate go test . -run ^TestMessageFixtures$ -update

var update = flag.Bool("update", false, "write fixtures/messages instead of only comparing them")

// TestMessageFixtures holds fixtures/messages, the RudderStack message of each
// event in fixtures/events, against the bridge's mapping, the oracle and the
// schema. With -update it writes them as the bridge makes them.
func TestMessageFixtures(t *testing.T) {
	const dir = "../fixtures/messages"
	events, err := filepath.Glob("../fixtures/events/*.json")
	require.NoError(t, err)
	validator, err := schemas.NewValidator()
	require.NoError(t, err)
	mapper := mapping.Plain()
	want := map[string]bool{}
	for _, path := range events {
		name := filepath.Base(path)
		var event bytes.Buffer
		pretty, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, json.Compact(&event, pretty))
		expected, err := oracle.Expect(event.Bytes(), oracle.Rules{})
		require.NoError(t, err)
		if expected.Fate != oracle.Deliver {
			require.Equal(t, "agentconsole.ToolInvocation.json", name, "only this type has no user")
			continue
		}
		want[name] = true
		var message bytes.Buffer
		require.NoError(t, json.Indent(&message, mapper.AppendMessage(nil, event.Bytes(), ""), "", "  "))
		message.WriteByte('\n')
		if *update {
			require.NoError(t, os.MkdirAll(dir, 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), message.Bytes(), 0o644))
		}
		checked, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		text := strings.ReplaceAll(string(checked), "\r\n", "\n")
		require.Equal(t, text, message.String(), "the bridge makes something else of %s", name)
		got, err := oracle.Decode(checked)
		require.NoError(t, err)
		require.Empty(t, oracle.Diff(expected.Arrives, got, oracle.Exact, 5), name)
		verdict := validator.Message(checked)
		require.True(t, verdict.Valid, "%s: %v", name, verdict.Errors)
	}
	require.Len(t, want, len(events)-1, "agentconsole.ToolInvocation has no user")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		require.True(t, want[entry.Name()] || entry.Name() == "README.md", "%s belongs to no event", entry.Name())
	}
}
