package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The test's own binary stands for two programs of a release.
func TestRelease(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	text, err := os.ReadFile(self)
	require.NoError(t, err)
	dir := t.TempDir()
	for _, name := range []string{"a-linux-amd64", "b-linux-amd64"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o700))
	}
	written := func() (sums, sbom []byte) {
		require.NoError(t, write(dir))
		sums, err := os.ReadFile(filepath.Join(dir, sumsFile))
		require.NoError(t, err)
		sbom, err = os.ReadFile(filepath.Join(dir, sbomFile))
		require.NoError(t, err)
		return sums, sbom
	}
	sums, sbom := written()
	require.Regexp(t, `^[0-9a-f]{64}  a-linux-amd64\n[0-9a-f]{64}  b-linux-amd64\n[0-9a-f]{64}  sbom.cdx.json\n$`, string(sums))
	again, same := written()
	require.True(t, bytes.Equal(sums, again) && bytes.Equal(sbom, same), "the same binaries give the same files")

	var doc document
	decoder := json.NewDecoder(bytes.NewReader(sbom))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&doc))
	require.Equal(t, "CycloneDX", doc.BOMFormat)
	refs := map[string]component{}
	for _, c := range doc.Components {
		require.NotContains(t, refs, c.Ref)
		refs[c.Ref] = c
	}
	require.Equal(t, strings.Fields(string(sums))[0], refs["a-linux-amd64"].Hashes[0].Content)
	info, ok := debug.ReadBuildInfo()
	require.True(t, ok)
	require.Len(t, doc.Dependencies, 2)
	require.Len(t, doc.Dependencies[0].DependsOn, len(info.Deps)+1, "and Go's own library")
	for _, ref := range doc.Dependencies[0].DependsOn {
		require.Equal(t, "library", refs[ref].Type, ref)
	}
	for _, m := range info.Deps {
		require.Contains(t, refs, "pkg:golang/"+m.Path+"@"+m.Version)
	}
}

func TestReleaseRejectsOtherFiles(t *testing.T) {
	dir := t.TempDir()
	require.ErrorContains(t, write(dir), "there is no binary in it")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("x"), 0o600))
	require.ErrorContains(t, write(dir), "notes.txt")
}
