package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
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

func TestUnit(t *testing.T) {
	unit := unitFile(t, "systemd/bridge.service")["Service"]
	// Directories and %d need systemd 250.
	dir := t.TempDir()
	for _, line := range unit["LoadCredential"] {
		name, from, _ := strings.Cut(line, ":")
		require.Equal(t, "/etc/bridge/secrets/"+name, from)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("one\n"), 0o600))
	}
	require.NotContains(t, read(t, "systemd/bridge.service"), "%d")
	// A certificate is made elsewhere; without it the file is the example's.
	cfg := bridgeConfig(t, "systemd/bridge.yaml", map[string]string{"CREDENTIALS_DIRECTORY": dir},
		"tls: {cert: /etc/bridge/tls.crt, key: /etc/bridge/tls.key}\n", "")
	require.Equal(t, []string{"one"}, cfg.Connectors[0].Tokens)
	require.Equal(t, "one", cfg.Connectors[0].WriteKey)
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
	_, file, _ := strings.Cut(unitFile(t, "systemd/bridge.service")["Service"]["LoadCredential"][0], ":")
	require.Equal(t, []string{"CREDENTIALS_DIRECTORY=" + filepath.Dir(file)}, unit["Environment"])
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

// The hook of certbot copies the certificate of its name and no other's.
func TestLetsEncryptHook(t *testing.T) {
	live, to := t.TempDir(), t.TempDir()
	cfg := read(t, "systemd/bridge.yaml")
	require.Contains(t, cfg, "tls: {cert: /etc/bridge/tls.crt, key: /etc/bridge/tls.key}")
	text := strings.NewReplacer("/etc/letsencrypt/live", live, "to=/etc/bridge\n", "to="+to+"\n", "group=bridge\n", "group="+strconv.Itoa(os.Getgid())+"\n").
		Replace(read(t, "systemd/letsencrypt.sh"))
	hook := filepath.Join(t.TempDir(), "hook")
	require.NoError(t, os.WriteFile(hook, []byte(text), 0o700))
	renew := func(name string) {
		dir := filepath.Join(live, name)
		require.NoError(t, os.MkdirAll(dir, 0o700))
		for _, file := range []string{"fullchain.pem", "privkey.pem"} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(name+" "+file), 0o600))
		}
		cmd := exec.CommandContext(t.Context(), "sh", hook)
		cmd.Env = append(os.Environ(), "RENEWED_LINEAGE="+dir)
		output, err := cmd.CombinedOutput()
		require.NoError(t, err, string(output))
	}
	renew("bridge.example.com")
	renew("other.example.com")
	for name, want := range map[string]string{"tls.crt": "bridge.example.com fullchain.pem", "tls.key": "bridge.example.com privkey.pem"} {
		require.Equal(t, want, read(t, filepath.Join(to, name)))
		info, err := os.Stat(filepath.Join(to, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o640), info.Mode().Perm())
	}
	left, err := os.ReadDir(to)
	require.NoError(t, err)
	require.Len(t, left, 2)
}
