package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// unitFile reads a file of systemd: by section and key, all values in order.
func unitFile(t *testing.T, path string) map[string]map[string][]string {
	t.Helper()
	sections, section := map[string]map[string][]string{}, ""
	for line := range strings.Lines(read(t, path)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
			sections[section] = map[string][]string{}
		default:
			key, value, found := strings.Cut(line, "=")
			require.True(t, found, line)
			sections[section][key] = append(sections[section][key], value)
		}
	}
	return sections
}

// secretsOf makes the files that a unit would give the bridge, and returns what
// SECRETS says then.
func secretsOf(t *testing.T, prefix string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"brand-a.tokens": "one\ntwo\n", "brand-a.write-key": "2abc\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, prefix+name), []byte(text), 0o600))
	}
	return dir + "/" + prefix
}

func TestUnit(t *testing.T) {
	unit := unitFile(t, "systemd/bridge.service")["Service"]
	// The directory's name, with a line below it, is put before its files' names.
	name, _, found := strings.Cut(unit["LoadCredential"][0], ":/")
	require.True(t, found)
	require.Contains(t, unit["Environment"], "SECRETS=%d/"+name+"_")
	// A certificate is made elsewhere; without it the file is the example's.
	cfg := bridgeConfig(t, "systemd/bridge.yaml", map[string]string{"SECRETS": secretsOf(t, name+"_")},
		"tls: {cert: /etc/bridge/tls.crt, key: /etc/bridge/tls.key}\n", "")
	require.Len(t, cfg.Connectors[0].Tokens, 2)
	require.Equal(t, "2abc", cfg.Connectors[0].WriteKey)
	require.Empty(t, cfg.Warnings())
	require.Equal(t, "/var/lib/"+unit["StateDirectory"][0], cfg.DataDir)
	stop, err := time.ParseDuration(unit["TimeoutStopSec"][0] + "s")
	require.NoError(t, err)
	require.Greater(t, stop, cfg.Grace)
	require.Equal(t, []string{"always"}, unit["Restart"])
	require.Equal(t, "/bin/kill -HUP $MAINPID", unit["ExecReload"][len(unit["ExecReload"])-1])
}

// The drop-in leaves the same configuration in force.
func TestUnitWithSecretsThatAreReloaded(t *testing.T) {
	unit := unitFile(t, "systemd/reload-secrets.conf")["Service"]
	require.Equal(t, []string{""}, unit["LoadCredential"])
	_, dir, _ := strings.Cut(unitFile(t, "systemd/bridge.service")["Service"]["LoadCredential"][0], ":")
	require.Equal(t, []string{"SECRETS=" + dir + "/"}, unit["Environment"])
}

func TestUnitIsHardened(t *testing.T) {
	unit := unitFile(t, "systemd/bridge.service")["Service"]
	for key, want := range map[string]string{
		"NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes",
		"CapabilityBoundingSet": "", "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX", "MemoryDenyWriteExecute": "yes",
		"SystemCallArchitectures": "native", "StateDirectoryMode": "0700", "UMask": "0077",
	} {
		require.Equal(t, []string{want}, unit[key], key)
	}
	require.Equal(t, []string{"@system-service", "~@privileged @resources"}, unit["SystemCallFilter"])
}

// systemd itself looks at the unit, where it is there, with a program that is.
func TestUnitIsVerified(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	text := regexp.MustCompile(`(?m)^(Exec\w+)=/usr/local/bin/bridge `).ReplaceAllString(read(t, "systemd/bridge.service"), "${1}="+self+" ")
	file := filepath.Join(dir, "bridge.service")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	require.NoError(t, os.Mkdir(file+".d", 0o700))
	require.NoError(t, os.WriteFile(file+".d/reload-secrets.conf", []byte(read(t, "systemd/reload-secrets.conf")), 0o600))
	tool(t, "systemd-analyze", "verify", file)
	tool(t, "systemd-analyze", "security", "--offline=true", "--threshold=20", "systemd/bridge.service")
}
