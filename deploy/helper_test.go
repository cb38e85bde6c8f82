package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/currentsbridge/currentsbridge/bridge/config"
)

// namespace is that of this project's images. It names no registry, so that no other
// image of the name is pulled.
const namespace = "localhost/currentsbridge/"

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// strict decodes YAML into a value that must have every key.
func strict(t *testing.T, text string, into any) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(into), text)
}

// bridgeConfig reads a configuration as the bridge does, with a text of the file and
// of the environment replaced, such as a path by one of this machine.
func bridgeConfig(t *testing.T, path string, env map[string]string, text, by string) config.Config {
	t.Helper()
	local := filepath.Join(t.TempDir(), "bridge.yaml")
	require.NoError(t, os.WriteFile(local, []byte(strings.ReplaceAll(read(t, path), text, by)), 0o600))
	cfg, err := config.Load(config.Source{File: local, Env: func(name string) (string, bool) {
		value, set := env[name]
		return strings.ReplaceAll(value, text, by), set
	}})
	require.NoError(t, err, path)
	return cfg
}

// tool runs a program that checks a file, where this machine has it.
func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		program, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("%s is not installed, so it does not check the file as well", name)
		}
		output, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
		require.NoError(t, err, string(output))
	})
}
