package deploy

import (
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
)

// settingsFile reads a file of NAME=value; what is commented out counts too
// where commented is set.
func settingsFile(t *testing.T, path string, commented bool) map[string]string {
	t.Helper()
	values := map[string]string{}
	for line := range strings.Lines(read(t, path)) {
		line = strings.TrimSpace(line)
		if commented {
			line = strings.TrimPrefix(line, "#")
		}
		if name, value, found := strings.Cut(line, "="); found && !strings.ContainsAny(name, "# ") {
			values[name] = value
		}
	}
	return values
}

var variable = regexp.MustCompile(`\$\{(\w+)(?::[-?]([^}]*))?\}`)

// productionBridge is the configuration of the bridge of the production file
// with these settings, and secrets as they are made by docs/deploy.md.
func productionBridge(t *testing.T, settings map[string]string) config.Config {
	t.Helper()
	file := composeFiles(t)[production]
	bridge := file.Services["bridge"]
	env := maps.Clone(images(t)["bridge"].env)
	for name, value := range bridge.Environment {
		env[name] = variable.ReplaceAllStringFunc(value, func(text string) string {
			match := variable.FindStringSubmatch(text)
			if settings[match[1]] == "" && strings.Contains(text, ":?") {
				t.Fatalf("the example does not set %s", match[1])
			}
			return settings[match[1]]
		})
	}
	secrets := t.TempDir()
	for _, name := range bridge.Secrets {
		require.Equal(t, "${SECRETS:-./secrets}/"+name, file.Secrets[name].File)
		require.NoError(t, os.WriteFile(filepath.Join(secrets, name), []byte("secret-of-"+name+"\n"), 0o600))
	}
	for name, value := range env {
		env[name] = strings.ReplaceAll(value, "/run/secrets", secrets)
	}
	return bridgeConfig(t, bridge.mounts(t)["/etc/bridge/bridge.yaml"], env, "/run/secrets", secrets)
}

// The production file starts with the example as it stands: everything that it
// asks for is there, and the bridge takes it.
func TestProduction(t *testing.T) {
	file, example := composeFiles(t)[production], settingsFile(t, "production.env.example", false)
	cfg := productionBridge(t, example)
	require.Empty(t, cfg.Warnings())
	require.Equal(t, "secret-of-admin-token", cfg.AdminToken)
	require.Equal(t, []string{"secret-of-braze-tokens"}, cfg.Connectors[0].Tokens)
	require.Equal(t, "secret-of-write-key", cfg.Connectors[0].WriteKey)
	require.Equal(t, example["RUDDER_URL"], cfg.Connectors[0].RudderURL)
	require.Equal(t, config.SQLite, cfg.Queue.URL)
	require.Greater(t, file.Services["bridge"].StopGracePeriod, cfg.Grace)
	require.Empty(t, file.Services["bridge"].Profiles)
	for name, s := range file.Services {
		require.NotContains(t, s.Image, "mock", name)
		for _, secret := range s.Secrets {
			require.Contains(t, file.Secrets, secret)
		}
	}
	require.Equal(t, []string{"monitoring"}, file.Services["prometheus"].Profiles)
	require.Equal(t, []string{"monitoring"}, file.Services["grafana"].Profiles)

	// Every variable of the file is explained by the example, with its default.
	every := settingsFile(t, "production.env.example", true)
	var used []string
	for _, match := range variable.FindAllStringSubmatch(read(t, production), -1) {
		used = append(used, match[1])
		if example[match[1]] != "" && !strings.Contains(match[0], ":?") {
			require.Equal(t, example[match[1]], match[2], match[1])
		}
	}
	delete(every, "COMPOSE_PROFILES")
	slices.Sort(used)
	require.ElementsMatch(t, slices.Compact(used), slices.Collect(maps.Keys(every)))
}

// With what is commented out, the queue is in the server of the profile postgres.
func TestProductionWithPostgres(t *testing.T) {
	server := composeFiles(t)[production].Services["postgres"]
	cfg := productionBridge(t, settingsFile(t, "production.env.example", true))
	queue, err := url.Parse(cfg.Queue.URL)
	require.NoError(t, err)
	require.Equal(t, []string{queue.Hostname()}, server.Profiles)
	require.Equal(t, server.Environment["POSTGRES_USER"], queue.User.Username())
	require.Equal(t, "/"+server.Environment["POSTGRES_DB"], queue.Path)
	require.Equal(t, "secret-of-"+strings.TrimPrefix(server.Environment["POSTGRES_PASSWORD_FILE"], "/run/secrets/"), cfg.Queue.Password)
}
