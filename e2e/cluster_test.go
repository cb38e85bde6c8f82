//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/currentsbridge/currentsbridge/internal/dockertest"
	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
)

const (
	monitorPort = "8222/tcp"
	// pendingStream is what a bridge calls the stream of the connector "default".
	pendingStream = "currents_default"
	stopTime      = 20 * time.Second // from SIGTERM to SIGKILL
)

// cluster is a scenario with three NATS servers, two bridges on them, and a
// balancer that Braze sends to.
type cluster struct {
	*scenario
	nats     map[string]testcontainers.Container
	bridges  map[string]testcontainers.Container
	balancer netfault
}

// TestCluster loses a bridge, a leader and a node of NATS, and RudderStack for a
// minute, restarts everything one by one, and Braze goes on all the while.
func TestCluster(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := startCluster(open(t, "cluster", 41, 300))
	c.launch("http://balancer:8080/currents", 500*time.Millisecond)
	for _, step := range []func(){c.killBridge, c.killLeader, c.partition, c.loseRudder, c.restartAll} {
		c.load()
		c.during(2 * time.Second)
		step()
	}
	c.judge()
}

func startCluster(s *scenario) *cluster {
	s.t.Helper()
	c := &cluster{scenario: s, nats: map[string]testcontainers.Container{}, bridges: map[string]testcontainers.Container{}}
	for _, name := range natsNames() {
		c.nats[name] = c.startNATS(name)
	}
	c.awaitHealthy()
	for _, name := range bridgeNames() {
		c.bridges[name] = c.startBridgeHere(name)
	}
	c.ask(c.bridges["b1"])
	c.balancer = c.startNetfault("balancer", "b1:8080", "b2:8080")
	return c
}

func natsNames() []string   { return []string{"n1", "n2", "n3"} }
func natsURL() string       { return "nats://" + strings.Join(natsNames(), ":4222,") + ":4222" }
func bridgeNames() []string { return []string{"b1", "b2"} }

func (c *cluster) startNATS(name string, more ...testcontainers.ContainerCustomizer) testcontainers.Container {
	c.t.Helper()
	routes := "nats://" + strings.Join(natsNames(), ":6222,nats://") + ":6222"
	node, err := testcontainers.Run(c.ctx, c.image(dockertest.NATS()), c.joined(name, append([]testcontainers.ContainerCustomizer{mount(c.volume()),
		testcontainers.WithCmd("-n", name, "-js", "-sd", "/data", "-m", "8222",
			"--cluster_name", "e2e", "--cluster", "nats://0.0.0.0:6222", "--routes", routes,
			// Or it tells of its address in the other network, and no cut would part it.
			"--client_advertise", name+":4222", "--cluster_advertise", name+":6222"),
		testcontainers.WithExposedPorts(monitorPort),
		testcontainers.WithWaitStrategyAndDeadline(startTime, wait.ForHTTP("/varz").WithPort(monitorPort).WithPollInterval(pollEvery))}, more...)...)...)
	c.keep(name, nilable(node), err)
	return node
}

func (c *cluster) startBridgeHere(name string) testcontainers.Container {
	c.t.Helper()
	return c.startBridge(name, "--rudder-url", "http://rudder:8090", "--queue", natsURL())
}

// monitor asks the monitoring port of a NATS server.
func (c *cluster) monitor(node testcontainers.Container, path string, into any) error {
	url, err := node.PortEndpoint(c.ctx, monitorPort, "http")
	if err != nil {
		return err
	}
	return jsoncall.Do(c.ctx, http.MethodGet, url+path, nil, into)
}

// awaitHealthy waits until every NATS server says that it is up to date.
func (c *cluster) awaitHealthy() {
	c.t.Helper()
	until := time.Now().Add(startTime)
	for name, node := range c.nats {
		for {
			err := c.monitor(node, "/healthz", nil)
			if err == nil {
				break
			}
			require.True(c.t, time.Now().Before(until), "%s is not healthy: %v", name, err)
			c.during(pollEvery)
		}
	}
}

// leader is the node that leads the stream of what is pending.
func (c *cluster) leader() (name string) {
	c.t.Helper()
	for range 100 {
		for _, node := range c.nats {
			if name = c.leaderBy(node); name != "" {
				return name
			}
		}
		c.during(100 * time.Millisecond)
	}
	c.t.Fatal("no NATS server knows who leads the stream of what is pending")
	return ""
}

// leaderBy is what a node says, "" where it does not know.
func (c *cluster) leaderBy(node testcontainers.Container) string {
	var said struct {
		Accounts []struct {
			Streams []struct {
				Name    string `json:"name"`
				Cluster struct {
					Leader string `json:"leader"`
				} `json:"cluster"`
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	if c.monitor(node, "/jsz?accounts=true&streams=true", &said) != nil {
		return ""
	}
	for _, account := range said.Accounts {
		for _, stream := range account.Streams {
			if stream.Name == pendingStream {
				return stream.Cluster.Leader
			}
		}
	}
	return ""
}

func (c *cluster) killBridge() {
	c.t.Helper()
	from := time.Now()
	c.ask(c.bridges["b2"])
	c.kill(c.bridges["b1"])
	c.remove(c.bridges["b1"])
	c.settle("a bridge killed, the other takes over", from)
	c.lose(from, inFlight)
	c.crashes++
	c.bridges["b1"] = c.startBridgeHere("b1")
}

func (c *cluster) killLeader() {
	c.t.Helper()
	name, from := c.leader(), time.Now()
	c.kill(c.nats[name])
	c.settle("the leader of the stream killed", from)
	c.lose(from, 2*inFlight)
	require.NoError(c.t, c.nats[name].Start(c.ctx))
	c.awaitHealthy()
}

func (c *cluster) partition() {
	c.t.Helper()
	name, from := c.leader(), time.Now()
	c.cut(c.nats[name])
	c.during(10 * time.Second)
	c.mend(c.nats[name], name)
	c.settle("the leader of the stream cut off for 10 s", time.Now())
	c.lose(from, 2*inFlight)
	c.awaitHealthy()
}

func (c *cluster) loseRudder() {
	c.t.Helper()
	from := time.Now()
	c.cut(c.rudder)
	c.during(time.Minute)
	c.mend(c.rudder, "rudder")
	c.settle("RudderStack away for a minute", time.Now())
	c.lose(from, 2*inFlight)
}

// restartAll stops and starts one after the other. mockbraze alone stays: it has
// what it has not got rid of in its memory, as the real Braze would not.
func (c *cluster) restartAll() {
	c.t.Helper()
	from := time.Now()
	for _, name := range natsNames() {
		c.restart(name, c.nats[name])
		c.awaitHealthy()
	}
	for i, name := range bridgeNames() {
		c.ask(c.bridges[bridgeNames()[1-i]])
		c.restart(name, c.bridges[name])
	}
	c.restart("mockrudder", c.rudder)
	c.slowRudder()
	c.restart("balancer", c.balancer)
	c.settle("everything restarted one by one", time.Now())
	c.lose(from, int64(len(c.nats)+1)*2*inFlight)
}

func (c *cluster) restart(name string, node testcontainers.Container) {
	c.t.Helper()
	c.say("restart %s", name)
	patience := stopTime
	require.NoError(c.t, node.Stop(c.ctx, &patience), name)
	require.NoError(c.t, node.Start(c.ctx), name)
}
