package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue/pebble"
)

func TestRepair(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, []string{"BRIDGE_BRAZE_TOKEN=s3cret"}, "--rudder-url", rudderStack(t).URL, "--write-key", "wk", "--data-dir", dir)
	s.post(t, twoEvents)

	// While a bridge has it open, a repair and another bridge are refused.
	for _, command := range [][]string{
		{"repair", "--data-dir", dir},
		{"serve", "--open", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--rudder-url", "http://127.0.0.1:1", "--write-key", "wk", "--data-dir", dir},
	} {
		code, _, stderr := runBridge(t, nil, command...)
		require.Equal(t, 1, code, stderr)
		require.Contains(t, stderr, dir)
		require.Contains(t, stderr, "another bridge runs on it")
	}
	s.signal(t, syscall.SIGTERM)
	require.Equal(t, 0, s.end(t), s.stderr.String())

	code, stdout, stderr := runBridge(t, nil, "repair", "--data-dir", dir)
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, "whole")

	manifests := damageManifests(t, dir)
	code, stdout, stderr = runBridge(t, nil, "repair", "--data-dir", dir, "--dry-run")
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, filepath.Base(manifests[len(manifests)-1]))
	require.Contains(t, stdout, "nothing was")
	b, err := os.ReadFile(manifests[0])
	require.NoError(t, err)
	require.NotEmpty(t, b, "a dry run moves nothing")

	code, stdout, stderr = runBridge(t, nil, "repair", "--data-dir", dir, "--json")
	require.Equal(t, 0, code, stderr)
	var report pebble.RepairReport
	require.NoError(t, json.Unmarshal([]byte(stdout), &report))
	require.False(t, report.Whole)
	require.Len(t, report.Connectors, 1)
	require.Equal(t, "default", report.Connectors[0].Name)
	aside, err := filepath.Glob(filepath.Join(dir, "set-aside-*", "MANIFEST-*"))
	require.NoError(t, err)
	require.NotEmpty(t, aside)
	requirePrivate(t, dir)

	s = serve(t, []string{"BRIDGE_BRAZE_TOKEN=s3cret"}, "--rudder-url", rudderStack(t).URL, "--write-key", "wk", "--data-dir", dir)
	code, stdout, stderr = runBridge(t, nil, "status", "--admin", s.admin, "--json")
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, `"received":2`)
	s.signal(t, syscall.SIGTERM)
	require.Equal(t, 0, s.end(t), s.stderr.String())
}

// damageManifests changes a byte of each manifest, and returns where they are.
func damageManifests(t *testing.T, dir string) []string {
	t.Helper()
	manifests, err := filepath.Glob(filepath.Join(dir, "MANIFEST-*"))
	require.NoError(t, err)
	require.NotEmpty(t, manifests)
	for _, m := range manifests {
		b, err := os.ReadFile(m)
		require.NoError(t, err)
		b[9] ^= 1
		require.NoError(t, os.WriteFile(m, b, 0o600))
	}
	return manifests
}

// requirePrivate fails where others can read what is in a directory.
func requirePrivate(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := e.Info()
		require.NoError(t, err)
		if path != dir { // the test made that one
			require.Zero(t, info.Mode().Perm()&0o077, "%s can be read by others", path)
		}
		return nil
	}))
}

// TestRepairTakesTheVariableOfServe: the directory that a variable gives to
// bridge serve is the one that bridge repair means.
func TestRepairTakesTheVariableOfServe(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, []string{"BRIDGE_BRAZE_TOKEN=s3cret"}, "--rudder-url", rudderStack(t).URL, "--write-key", "wk", "--data-dir", dir)
	s.post(t, twoEvents)
	s.signal(t, syscall.SIGTERM)
	require.Equal(t, 0, s.end(t), s.stderr.String())

	code, stdout, stderr := runBridge(t, []string{"BRIDGE_DATA_DIR=" + dir, "BRIDGE_DRY_RUN=true", "BRIDGE_JSON=true"}, "repair")
	require.Equal(t, 0, code, stderr)
	var report pebble.RepairReport
	require.NoError(t, json.Unmarshal([]byte(stdout), &report))
	require.Equal(t, dir, report.Dir)
	require.True(t, report.Whole)
}
