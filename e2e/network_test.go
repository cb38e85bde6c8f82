//go:build e2e

package e2e

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2/client"
	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/currentsbridge/currentsbridge/internal/dockertest"
	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
)

const toxiproxyPort = "8474/tcp"

// networkFault is something that the network does for a while.
type networkFault struct {
	what  string
	time  time.Duration
	start func(*networkTest) (end func())
	// happened says whether it did, by the bridge's requests meanwhile; nil where
	// start or end see it themselves.
	happened func(requests) bool
}

func networkFaults() []networkFault {
	failed := func(r requests) bool { return r.failed > 0 }
	slowed := func(r requests) bool { return r.mean() > 0.4 } // seconds
	return []networkFault{
		{"latency of 0.2 to 0.5 s each way", 4 * time.Second, both("latency", 1, toxiproxy.Attributes{"latency": 350, "jitter": 150}), slowed},
		{"20 kB/s a connection", 4 * time.Second, both("bandwidth", 1, toxiproxy.Attributes{"rate": 20}), slowed},
		{"a fifth of all packets lost", 6 * time.Second, (*networkTest).losePackets, nil},
		{"a half of all connections reset", 4 * time.Second, both("reset_peer", 0.5, toxiproxy.Attributes{"timeout": 100}), failed},
		{"connections that hang", 8 * time.Second, both("timeout", 1, toxiproxy.Attributes{"timeout": 0}), failed},
		{"responses that never arrive", 8 * time.Second, toxic("timeout", "downstream", 1, toxiproxy.Attributes{"timeout": 0}), failed},
		{"connections refused", 5 * time.Second, (*networkTest).refuse, failed},
		{"RudderStack off the network", 8 * time.Second, (*networkTest).disconnectRudder, failed},
	}
}

// networkTest is a scenario with toxiproxy between the bridge and RudderStack.
type networkTest struct {
	*scenario
	way   *toxiproxy.Proxy
	proxy testcontainers.Container
}

// TestNetwork injects one network fault after the other between the bridge and
// RudderStack, under load. Each request of the bridge that failed meanwhile explains
// duplicates of its events.
func TestNetwork(t *testing.T) {
	t.Parallel() // it waits more than it works
	n := &networkTest{scenario: open(t, "network", 31, 800)}
	n.startToxiproxy()
	n.bridge = n.startBridge("bridge", n.volume(), "--rudder-url", "http://way:8090")
	n.launch("http://bridge:8080/currents", 500*time.Millisecond)
	for _, fault := range networkFaults() {
		for tries := 1; !n.hit(fault); tries++ { // a coin is tossed for each connection
			require.Less(t, tries, 5, "%s does not happen", fault.what)
		}
	}
	n.judge()
}

// hit has the fault for its time, and says whether it happened.
func (n *networkTest) hit(fault networkFault) bool {
	n.load()
	n.during(time.Second)
	before, from := n.requests(), time.Now()
	end := fault.start(n)
	n.during(fault.time)
	end()
	n.settle(fault.what, time.Now())
	now := n.requests().minus(before)
	n.say("%s: %.0f requests of %.2f s on average, %.0f without a response", fault.what, now.all, now.mean(), now.failed)
	n.lose(from, int64(now.failed)*perPost)
	return fault.happened == nil || fault.happened(now)
}

func (n *networkTest) startToxiproxy() {
	n.proxy = n.run("toxiproxy", n.image(dockertest.Toxiproxy), n.joined("way",
		testcontainers.WithCmd("-host", "0.0.0.0"), testcontainers.WithExposedPorts(toxiproxyPort),
		testcontainers.WithWaitStrategyAndDeadline(startTime, wait.ForHTTP("/version").WithPort(toxiproxyPort).WithPollInterval(pollEvery)))...)
	url, err := n.proxy.PortEndpoint(n.ctx, toxiproxyPort, "http")
	require.NoError(n.t, err)
	n.way, err = toxiproxy.NewClient(url).CreateProxy("way", "0.0.0.0:8090", "rudder:8090")
	require.NoError(n.t, err)
}

// toxic starts one of toxiproxy's toxics on a share of the connections.
func toxic(kind, stream string, share float32, attributes toxiproxy.Attributes) func(*networkTest) func() {
	return func(n *networkTest) (end func()) {
		made, err := n.way.AddToxic(kind+"-"+stream, kind, stream, share, attributes)
		require.NoError(n.t, err)
		return func() { require.NoError(n.t, n.way.RemoveToxic(made.Name)) }
	}
}

func both(kind string, share float32, attributes toxiproxy.Attributes) func(*networkTest) func() {
	return func(n *networkTest) (end func()) {
		up := toxic(kind, "upstream", share, attributes)(n)
		down := toxic(kind, "downstream", share, attributes)(n)
		return func() { up(); down() }
	}
}

func (n *networkTest) refuse() (end func()) {
	require.NoError(n.t, n.way.Disable())
	return func() { require.NoError(n.t, n.way.Enable()) }
}

func (n *networkTest) disconnectRudder() (end func()) {
	n.disconnect(n.rudder)
	return func() { n.reconnect(n.rudder, "rudder") }
}

// losePackets has the kernel drop packets in the network namespace of toxiproxy.
func (n *networkTest) losePackets() (end func()) {
	const program = "github.com/currentsbridge/currentsbridge/e2e/droppackets"
	c := n.run("droppackets", n.image(program), testcontainers.WithLabels(dockertest.Labels()),
		testcontainers.WithCmd("--port", "8090", "--one-in", "5"),
		testcontainers.WithHostConfigModifier(func(host *container.HostConfig) {
			host.NetworkMode, host.CapAdd = container.NetworkMode("container:"+n.proxy.GetContainerID()), []string{"NET_ADMIN"}
		}),
		testcontainers.WithWaitStrategyAndDeadline(startTime, wait.ForLog("dropping")))
	return func() {
		timeout := stopTime
		require.NoError(n.t, c.Stop(n.ctx, &timeout))
		said := dockertest.Logs(n.ctx, c)
		require.Regexp(n.t, `dropped [1-9]\d*\n`, said, "no packet was dropped")
		n.say("%s", strings.TrimSpace(said[strings.LastIndex(said, "dropped"):]))
	}
}

// requests are the bridge's requests to RudderStack.
type requests struct{ all, failed, seconds float64 }

func (r requests) minus(b requests) requests {
	return requests{r.all - b.all, r.failed - b.failed, r.seconds - b.seconds}
}

func (r requests) mean() float64 { return r.seconds / max(r.all, 1) }

// requests reads them from the bridge's metrics.
func (s *scenario) requests() (now requests) {
	admin, err := s.admin()
	require.NoError(s.t, err)
	answer, err := jsoncall.API{Base: admin}.Open(s.ctx, http.MethodGet, "/metrics", nil)
	require.NoError(s.t, err)
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		value, err := strconv.ParseFloat(text, 64)
		switch {
		case err != nil:
		case strings.HasPrefix(name, "bridge_delivery_duration_seconds_count"):
			now.all += value
		case strings.HasPrefix(name, "bridge_delivery_duration_seconds_sum"):
			now.seconds += value
		case strings.HasPrefix(name, "bridge_delivery_requests_total") && strings.Contains(name, `class="none"`):
			now.failed += value
		}
	}
	require.NoError(s.t, lines.Err())
	return now
}
