//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/bridgeproc"
	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// TestProductionFile starts deploy/compose.production.yaml as it is written, with
// one .env and files of secrets as docs/deploy.md says, between the two fakes.
// Prometheus and Grafana come from a registry, so their profile is left out.
func TestProductionFile(t *testing.T) {
	compose := composeCommand(t)
	if exec.Command("docker", "image", "inspect", "localhost/currentsbridge/bridge").Run() != nil {
		t.Setenv("LOCAL", "1")
		run(t, "../deploy/images.sh")
	}

	rudder, err := mockrudder.New(mockrudder.WithSource("wk", mockrudder.HTTP))
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "0.0.0.0:0") // containers reach it by an address of this machine
	require.NoError(t, err)
	server := &http.Server{Handler: rudder, ReadHeaderTimeout: time.Minute}
	go server.Serve(listener) // it ends with Close
	t.Cleanup(func() { _ = server.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)

	dir := t.TempDir()
	for name, text := range map[string]string{"admin-token": "admin-secret", "braze-tokens": token, "write-key": "wk", "postgres-password": "unused"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o444))
	}
	ports, err := bridgeproc.FreePorts(2)
	require.NoError(t, err)
	admin := "http://" + ports[1]
	env := filepath.Join(dir, ".env")
	require.NoError(t, os.WriteFile(env, []byte("RUDDER_URL=http://"+net.JoinHostPort(hostAddress(t), port)+"\nSECRETS="+dir+
		"\nBRIDGE_PORT="+strings.TrimPrefix(ports[0], "127.0.0.1:")+"\nBRIDGE_ADMIN_PORT="+strings.TrimPrefix(ports[1], "127.0.0.1:")+"\nCOMPOSE_PROFILES=\n"), 0o600))
	compose = append(compose, "-p", "currentsbridge-e2e", "--env-file", env, "-f", "../deploy/compose.production.yaml")
	t.Cleanup(func() { run(t, append(compose, "down", "-v", "-t", "20")...) })
	run(t, append(compose, "up", "-d", "--no-build")...)

	require.Eventually(t, func() bool { return get(admin, "/readyz", "") == nil }, startTime, pollEvery)
	var refused *jsoncall.StatusError
	require.ErrorAs(t, get(admin, "/metrics", ""), &refused)
	require.Equal(t, http.StatusUnauthorized, refused.Status)
	require.NoError(t, get(admin, "/metrics", "admin-secret"))
	batch := `{"events":[{"id":"e1","event_type":"users.messages.email.Open","time":1790000000,"user":{"external_user_id":"u1"},"properties":{}}]}`
	bridge := jsoncall.API{Base: "http://" + ports[0], Token: token}
	require.NoError(t, bridge.Do(t.Context(), http.MethodPost, "/currents", json.RawMessage(batch), nil))
	require.Eventually(t, func() bool { return rudder.Count(mockrudder.Filter{MessageID: "e1"}) == 1 }, startTime, pollEvery)
	require.Contains(t, run(t, append(compose, "exec", "-T", "bridge", "/bridge", "status")...), "ok")
}

// hostAddress returns an address of this machine that containers reach.
func hostAddress(t *testing.T) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, addr := range addrs {
		if ip, ok := addr.(*net.IPNet); ok && ip.IP.To4() != nil && ip.IP.IsGlobalUnicast() {
			return ip.IP.String()
		}
	}
	t.Fatal("this machine has no address but loopback")
	return ""
}

func composeCommand(t *testing.T) []string {
	t.Helper()
	for _, command := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if exec.Command(command[0], append(command[1:], "version")...).Run() == nil {
			return command
		}
	}
	const missing = "compose is missing: install docker-compose or Docker's plugin compose"
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return nil
}

func run(t *testing.T, command ...string) string {
	said, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	require.NoError(t, err, "%v: %s", command, said)
	return string(said)
}

// get asks with a bearer token, or without one.
func get(base, path, bearer string) error {
	return jsoncall.API{Base: base, Token: bearer}.Do(context.Background(), http.MethodGet, path, nil, nil)
}
