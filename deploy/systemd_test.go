package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

// unitFile reads a file of systemd: by key, all values in order.
func unitFile(t *testing.T, path string) map[string][]string {
	values := map[string][]string{}
	for line := range strings.Lines(casefile.Text(t, path)) {
		if key, value, found := strings.Cut(strings.TrimSpace(line), "="); found && !strings.HasPrefix(line, "#") {
			values[key] = append(values[key], value)
		}
	}
	return values
}

// The bridge of the unit starts with the example's configuration and the unit's secrets,
// and so it does where the drop-in has them reloaded; it may
// do nothing but its work.
func TestUnit(t *testing.T) {
	unit, dropIn := unitFile(t, "systemd/bridge.service"), unitFile(t, "systemd/reload-secrets.conf")
	dir := t.TempDir()
	for _, line := range unit["LoadCredential"] {
		name, from, _ := strings.Cut(line, ":")
		require.Equal(t, "/etc/bridge/secrets/"+name, from)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("one\n"), 0o600))
	}
	require.Equal(t, []string{""}, dropIn["LoadCredential"])
	require.Equal(t, []string{"CREDENTIALS_DIRECTORY=/etc/bridge/secrets"}, dropIn["Environment"])
	require.NotContains(t, casefile.Text(t, "systemd/bridge.service"), "%d", "it needs systemd 250")
	// A certificate is made elsewhere; without it the file is the example's.
	cfg := bridgeConfig(t, "systemd/bridge.yaml", map[string]string{"CREDENTIALS_DIRECTORY": dir}, tlsLine, "")
	require.Equal(t, []string{"one"}, cfg.Connectors[0].Tokens)
	require.Equal(t, "one", cfg.Connectors[0].WriteKey)
	require.Empty(t, cfg.Warnings())
	require.Equal(t, "/var/lib/"+unit["StateDirectory"][0], cfg.DataDir)
	stop, err := time.ParseDuration(unit["TimeoutStopSec"][0] + "s")
	require.NoError(t, err)
	require.Greater(t, stop, cfg.Grace)
	require.Equal(t, []string{"always"}, unit["Restart"])
	require.Equal(t, "/bin/kill -HUP $MAINPID", unit["ExecReload"][1])
	require.Subset(t, unit, map[string][]string{
		"NoNewPrivileges": {"yes"}, "ProtectSystem": {"strict"}, "ProtectHome": {"yes"}, "PrivateTmp": {"yes"}, "PrivateDevices": {"yes"},
		"CapabilityBoundingSet": {""}, "RestrictAddressFamilies": {"AF_INET AF_INET6 AF_UNIX"}, "MemoryDenyWriteExecute": {"yes"},
		"SystemCallArchitectures": {"native"}, "StateDirectoryMode": {"0700"}, "UMask": {"0077"},
		"SystemCallFilter": {"@system-service", "~@privileged @resources"},
	})
}

const tlsLine = "tls: {cert: /etc/bridge/tls.crt, key: /etc/bridge/tls.key}\n"

// systemd itself looks at the unit, where it is installed, with a program that is there.
func TestUnitIsVerified(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	text := strings.ReplaceAll(casefile.Text(t, "systemd/bridge.service"), "=/usr/local/bin/bridge ", "="+self+" ")
	file := casefile.Temp(t, "bridge.service", text)
	require.NoError(t, os.Mkdir(file+".d", 0o700))
	require.NoError(t, os.WriteFile(file+".d/reload-secrets.conf", []byte(casefile.Text(t, "systemd/reload-secrets.conf")), 0o600))
	tool(t, "systemd-analyze", "verify", file)
	tool(t, "systemd-analyze", "security", "--offline=true", "--threshold=20", "systemd/bridge.service")
}

// The hook of certbot copies the certificate of its name and no other's.
func TestLetsEncryptHook(t *testing.T) {
	live, to := t.TempDir(), t.TempDir()
	require.Contains(t, casefile.Text(t, "systemd/bridge.yaml"), tlsLine)
	text := strings.NewReplacer("/etc/letsencrypt/live", live, "to=/etc/bridge\n", "to="+to+"\n", "group=bridge\n", "group="+strconv.Itoa(os.Getgid())+"\n").
		Replace(casefile.Text(t, "systemd/letsencrypt.sh"))
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
		require.Equal(t, want, casefile.Text(t, filepath.Join(to, name)))
		info, err := os.Stat(filepath.Join(to, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o640), info.Mode().Perm())
	}
	left, err := os.ReadDir(to)
	require.NoError(t, err)
	require.Len(t, left, 2)
}
