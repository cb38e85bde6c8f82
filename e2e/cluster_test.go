//go:build e2e

package e2e

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/exec"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/currentsbridge/currentsbridge/internal/dockertest"
)

const (
	stopTime = 20 * time.Second // from SIGTERM to SIGKILL
	// queueURL follows the primary wherever it is.
	queueURL = "postgres://postgres@db1:5432,db2:5432/postgres?target_session_attrs=read-write&sslmode=disable&connect_timeout=3"
	takeOver = 5 * time.Second // the bridges' queue.ack_wait
)

// cluster is a scenario with two bridges on one PostgreSQL, which has a
// synchronous standby. Docker's DNS gives Braze both bridges' addresses.
type cluster struct {
	*scenario
	primary, standby testcontainers.Container
	bridges          map[string]testcontainers.Container
}

// TestCluster loses a bridge, the database and RudderStack for a while, restarts
// the bridges one by one, and kills the primary and promotes the standby; Braze
// goes on all the while.
func TestCluster(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := startCluster(open(t, "cluster", 41, 300))
	c.launch("http://bridges:8080/currents", 500*time.Millisecond)
	for _, step := range []func(){
		c.killBridge,
		// What the bridges have in flight is delivered, and its outcome cannot be kept.
		func() { c.cut(c.primary, "db1", "the database") },
		func() { c.cut(c.rudder, "rudder", "RudderStack") },
		c.restartBridges, c.failOver,
	} {
		c.load()
		c.during(2 * time.Second)
		step()
	}
	c.judge()
}

func startCluster(s *scenario) *cluster {
	c := &cluster{scenario: s, bridges: map[string]testcontainers.Container{}}
	c.primary = c.startPostgres("db1", "")
	c.standby = c.startPostgres("db2", "db1")
	c.psql(c.primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
	c.psql(c.primary, "SELECT pg_reload_conf()")
	for _, name := range []string{"b1", "b2"} {
		c.bridges[name] = c.startBridgeHere(name)
	}
	c.bridge = c.bridges["b1"]
	return c
}

func (c *cluster) startBridgeHere(name string) testcontainers.Container {
	return c.startBridge(name, c.volume(), "--rudder-url", "http://rudder:8090", "--queue", queueURL, "--queue-ack-wait", takeOver.String())
}

// startPostgres starts a server, as a standby where primary is the name of one.
func (c *cluster) startPostgres(name, primary string) testcontainers.Container {
	image, err := dockertest.Postgres(c.ctx)
	require.NoError(c.t, err)
	opts := append(dockertest.PostgresOptions(primary, "max_connections=60", "shared_buffers=32MB"), testcontainers.WithExposedPorts("5432/tcp"),
		testcontainers.WithWaitStrategyAndDeadline(startTime, wait.ForLog("ready to accept").WithPollInterval(pollEvery)))
	return c.run(name, image, c.joined(name, opts...)...)
}

func (c *cluster) psql(server testcontainers.Container, statement string) string {
	return c.exec(server, "psql", "-h", "/tmp", "-U", "postgres", "-At", "-c", statement)
}

func (c *cluster) exec(server testcontainers.Container, command ...string) string {
	code, output, err := server.Exec(c.ctx, command, exec.Multiplexed(), exec.WithUser("postgres"))
	require.NoError(c.t, err)
	said, err := io.ReadAll(output)
	require.NoError(c.t, err)
	require.Zero(c.t, code, "%v: %s", command, said)
	return string(said)
}

func (c *cluster) killBridge() {
	from := time.Now()
	c.bridge = c.bridges["b2"]
	c.kill(c.bridges["b1"])
	c.remove(c.bridges["b1"])
	c.settle("a bridge killed, the other takes over", from)
	c.lose(from, inFlight)
	c.crashes++
	c.bridges["b1"] = c.startBridgeHere("b1")
}

// cut takes a container off the network for a while.
func (c *cluster) cut(server testcontainers.Container, name, what string) {
	from := time.Now()
	c.disconnect(server)
	c.during(10 * time.Second)
	c.reconnect(server, name)
	c.settle(what+" unreachable for 10 s", time.Now())
	c.lose(from, 2*inFlight)
}

func (c *cluster) awaitStandby() {
	const follows = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
	for until := time.Now().Add(startTime); c.psql(c.primary, follows) != "1\n"; c.during(pollEvery) {
		require.True(c.t, time.Now().Before(until), "the standby does not follow")
	}
}

// restartBridges stops and starts one after the other, as an upgrade does.
func (c *cluster) restartBridges() {
	from := time.Now()
	for name, other := range map[string]string{"b1": "b2", "b2": "b1"} {
		c.bridge = c.bridges[other]
		c.say("restart %s", name)
		timeout := stopTime
		require.NoError(c.t, c.bridges[name].Stop(c.ctx, &timeout), name)
		require.NoError(c.t, c.bridges[name].Start(c.ctx), name)
	}
	c.settle("the bridges restarted one by one", time.Now())
	c.lose(from, 2*inFlight)
}

// failOver kills the primary for good. What was acknowledged is on the standby.
func (c *cluster) failOver() {
	c.awaitStandby()
	from := time.Now()
	c.kill(c.primary)
	c.during(time.Second)
	c.exec(c.standby, "pg_ctl", "promote", "-D", dockertest.PostgresData)
	c.settle("the primary killed, the standby promoted", time.Now())
	c.lose(from, 2*inFlight)
	require.Equal(c.t, "f\n", c.psql(c.standby, "SELECT pg_is_in_recovery()"))
}
