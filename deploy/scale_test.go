package deploy

import (
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

// natsConfig reads a configuration as the server does, which refuses keys that
// it does not know.
func natsConfig(t *testing.T, path string) *server.Options {
	t.Helper()
	opts, err := server.ProcessConfigFile(path)
	require.NoError(t, err)
	require.True(t, opts.JetStream)
	// An acknowledgement that is not on disk breaks what the bridge tells Braze.
	require.True(t, opts.SyncAlways)
	require.NotEmpty(t, opts.Cluster.Name, "a cluster has the same name on all servers")
	require.Len(t, opts.Routes, 3)
	require.Positive(t, opts.JetStreamMaxStore)
	require.LessOrEqual(t, opts.MaxPayload, int32(8<<20), "NATS advises against more")
	require.Greater(t, opts.MaxPayload, int32(900<<10), "Braze's largest event")
	return opts
}

func TestComposeNATS(t *testing.T) {
	file := composeFiles(t)["compose.scale.yaml"]
	t.Setenv("NATS_NAME", "nats1")
	opts := natsConfig(t, "nats/nats.conf")
	require.Equal(t, "nats1", opts.ServerName)
	var queues []string
	for _, s := range queueServers(t, "compose/bridge.scale.yaml") {
		host, port := hostPort(t, s)
		require.Equal(t, "4222", port)
		require.Equal(t, 4222, opts.Port)
		queues = append(queues, host)
	}
	var routes []string
	for _, route := range opts.Routes {
		host, port := hostPort(t, route.String())
		require.Equal(t, "6222", port)
		require.Equal(t, 6222, opts.Cluster.Port)
		routes = append(routes, host)
	}
	var servers []string
	for name, s := range file.Services {
		if !strings.HasPrefix(s.Image, "nats:") {
			continue
		}
		servers = append(servers, name)
		require.Equal(t, name, s.Environment["NATS_NAME"])
		require.Equal(t, "./nats/nats.conf", s.mounts(t)[s.Command[len(s.Command)-1]])
		require.Equal(t, opts.StoreDir, "/data")
		require.Contains(t, s.Healthcheck.Test[len(s.Healthcheck.Test)-1], "http://127.0.0.1:8222/healthz")
		require.Equal(t, 8222, opts.HTTPPort)
	}
	require.ElementsMatch(t, servers, queues)
	require.ElementsMatch(t, servers, routes)
}

var (
	balanced  = regexp.MustCompile(`(?m)^ +server (\w+) (\w+):(\d+)$`)
	checkPort = regexp.MustCompile(`(?m)^ +default-server check port (\d+) `)
	frontPort = regexp.MustCompile(`(?m)^ +bind :(\d+)$`)
)

func TestLoadBalancer(t *testing.T) {
	file := composeFiles(t)["compose.scale.yaml"]
	text := read(t, mountedAt(t, file.Services["loadbalancer"], "/usr/local/etc/haproxy/haproxy.cfg"))
	known := images(t)["bridge"]
	_, intake := hostPort(t, known.env["BRIDGE_LISTEN"])
	_, admin := hostPort(t, known.env["BRIDGE_ADMIN"])
	var servers []string
	for _, match := range balanced.FindAllStringSubmatch(text, -1) {
		require.Equal(t, match[1], match[2])
		require.Equal(t, intake, match[3])
		servers = append(servers, match[1])
	}
	var bridges []string
	for name, s := range file.Services {
		if s.Image == namespace+"bridge" {
			bridges = append(bridges, name)
		}
	}
	require.ElementsMatch(t, bridges, servers)
	require.Equal(t, admin, checkPort.FindStringSubmatch(text)[1])
	require.Contains(t, text, "option httpchk GET /readyz\n")
	// A key may stand in the query.
	format := regexp.MustCompile(`log-format "(.*)"`).FindStringSubmatch(text)
	require.NotNil(t, format)
	require.NotRegexp(t, `%(HU|HQ|r|\[)|option httplog`, format[1])
	front := frontPort.FindStringSubmatch(text)[1]
	require.True(t, strings.HasSuffix(file.Services["loadbalancer"].Ports[0], ":"+front))
	tool(t, "haproxy", "-c", "-f", "haproxy/haproxy.cfg")
}
