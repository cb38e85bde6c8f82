package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBackfillExitCodes backfills into a store whose bridge does not run.
func TestBackfillExitCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	settings, export := filepath.Join(dir, "bridge.yaml"), filepath.Join(dir, "event_type=users.messages.email.Open", "part.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(export), 0o755))
	require.NoError(t, os.WriteFile(settings, []byte("data_dir: "+filepath.Join(dir, "data")+"\nconnectors:\n  - {name: a, open: true, rudder_url: \"http://127.0.0.1:1\", write_key: k}\n"), 0o600))
	good := `{"id":"1","time":1700000000,"user_id":"u"}` + "\n"
	require.NoError(t, os.WriteFile(export, []byte(good), 0o600))
	args := []string{"backfill", "--config", settings, "--progress", filepath.Join(dir, "progress"), "--connector"}
	out, _ := runBridge(t, nil, 0, append(args, "a", export)...)
	require.Contains(t, out, "         1           0         0     0           0 users.messages.email.Open\n")

	for _, times := range [][]string{{"--from", "2023-11-15"}, {"--to", "2023-11-14T22:13:20Z"}} { // when the event happened
		dated := append([]string{"backfill", "--config", settings, "--progress", filepath.Join(dir, "dated"), "--connector", "a", export}, times...)
		out, _ = runBridge(t, nil, 0, dated...)
		require.Contains(t, out, "         0           0         0     0           1 users.messages.email.Open\n")
	}

	require.NoError(t, os.WriteFile(export, []byte(good+"broken\n"), 0o600)) // another file by now
	out, stderr := runBridge(t, nil, 2, append(args, "a", export)...)
	require.Contains(t, stderr, "part.json: record 2: no JSON object")
	require.Contains(t, out, "         1           1         0     0           0 users.messages.email.Open\n")
	require.Contains(t, out, "skipped: 1 broken records")

	_, stderr = runBridge(t, nil, 1, append(args, "b", export)...)
	require.Contains(t, stderr, "is not in the configuration")
}
