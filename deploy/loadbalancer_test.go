package deploy

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

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
