package bridge

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
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

// Each test that the page on reliability names is there. A name that ends in …
// stands for all that begin so.
func TestReliabilityNamesTestsThatAreThere(t *testing.T) {
	page, err := os.ReadFile("../docs/reliability.md")
	require.NoError(t, err)
	var tests strings.Builder
	require.NoError(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		tests.Write(text)
		return err
	}))
	names := regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Za-z0-9]+)(…?)`").FindAllStringSubmatch(string(page), -1)
	require.Greater(t, len(names), 50)
	for _, name := range names {
		end := "("
		if name[2] != "" {
			end = ""
		}
		require.True(t, strings.Contains(tests.String(), "\nfunc "+name[1]+end), name[1])
	}
}

// What docs/scaling.md shows can be copied: NATS reads its configuration, and
// the bridge its own.
func TestScalingShowsWhatWorks(t *testing.T) {
	page, err := os.ReadFile("../docs/scaling.md")
	require.NoError(t, err)
	dir := t.TempDir()
	for _, name := range []string{"admin_token", "nats_password", "brand-a.tokens", "brand-a.write_key"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("secret\n"), 0o600))
	}
	cert, key := certificate(t, 1)
	for name, text := range map[string]string{"tls.crt": cert, "tls.key": key, "ca.crt": cert, "nats-ca.crt": cert} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	block := func(language string) string {
		m := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(page)
		require.NotNil(t, m, language)
		return strings.NewReplacer("/etc/bridge/secrets/", dir+"/", "/etc/bridge/", dir+"/", "/etc/nats/", dir+"/", "/var/lib/nats", dir).Replace(string(m[1]))
	}
	cfg, err := Load(Source{File: writeFile(t, block("yaml"))})
	require.NoError(t, err)
	require.True(t, cfg.Queue.OnNATS())
	require.Empty(t, cfg.Warnings())

	t.Setenv("NATS_BRIDGE_PASSWORD", "secret")
	t.Setenv("NATS_ADMIN_PASSWORD", "secret")
	file := filepath.Join(dir, "nats.conf")
	require.NoError(t, os.WriteFile(file, []byte(block("conf")), 0o600))
	opts, err := server.ProcessConfigFile(file)
	require.NoError(t, err)
	require.True(t, opts.JetStream && opts.SyncAlways)
	require.Equal(t, "currents", opts.Cluster.Name)
	require.Len(t, opts.Routes, 3)
	require.NotNil(t, opts.TLSConfig)
	require.Len(t, opts.Accounts, 2)
}
