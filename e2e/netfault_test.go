//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/currentsbridge/currentsbridge/internal/dockertest"
	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
)

const controlPort = "9000/tcp"

// netfault is the program of that name in a container: a TCP proxy that does
// what networks do, and the balancer where there is more than one target.
type netfault struct {
	testcontainers.Container
	s *scenario
}

// stats are what netfault counts.
type stats struct{ Accepted, Refused, Reset, Silenced, Unanswered, Slowed, Dropped int64 }

// startNetfault passes what comes to its port 8080 on to the targets, HOST:PORT.
func (s *scenario) startNetfault(name string, targets ...string) netfault {
	s.t.Helper()
	program := dockertest.Program{Name: "netfault", Package: "github.com/currentsbridge/currentsbridge/e2e/netfault"}
	c, err := testcontainers.Run(s.ctx, s.image(program), s.joined(name,
		testcontainers.WithCmd("--to", strings.Join(targets, ",")),
		testcontainers.WithExposedPorts(controlPort),
		testcontainers.WithHostConfigModifier(func(host *container.HostConfig) { host.CapAdd = append(host.CapAdd, "NET_ADMIN") }), // to drop packets
		testcontainers.WithWaitStrategyAndDeadline(startTime, wait.ForHTTP("/stats").WithPort(controlPort).WithPollInterval(pollEvery)))...)
	s.keep(name, nilable(c), err)
	return netfault{c, s}
}

func (n netfault) call(method, path string, body, into any) {
	n.s.t.Helper()
	url, err := n.PortEndpoint(n.s.ctx, controlPort, "http")
	require.NoError(n.s.t, err)
	require.NoError(n.s.t, jsoncall.Do(n.s.ctx, method, url+path, body, into))
}

// put replaces what it does; nothing ends it.
func (n netfault) put(rule map[string]any) {
	n.s.t.Helper()
	n.call(http.MethodPut, "/rule", rule, nil)
}

func (n netfault) stats() (now stats) {
	n.s.t.Helper()
	n.call(http.MethodGet, "/stats", nil, &now)
	return now
}

func (a stats) minus(b stats) stats {
	return stats{
		a.Accepted - b.Accepted, a.Refused - b.Refused, a.Reset - b.Reset, a.Silenced - b.Silenced,
		a.Unanswered - b.Unanswered, a.Slowed - b.Slowed, a.Dropped - b.Dropped,
	}
}

func (a stats) String() string {
	return fmt.Sprintf("%d connections, %d refused, %d reset, %d silenced, %d without an answer, %d pieces slowed, %d packets dropped",
		a.Accepted, a.Refused, a.Reset, a.Silenced, a.Unanswered, a.Slowed, a.Dropped)
}
