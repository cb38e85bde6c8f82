package bridge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/natstest"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// onNATS is a configuration with its queue on these servers.
func onNATS(t *testing.T, urls string, connectors ...Connector) Config {
	cfg := configFor(t, connectors...)
	cfg.Queue.Store = urls
	cfg.Queue.NATS.AckWait = time.Second // a dead bridge's events come soon
	return cfg
}

// deliverable is an event that becomes a message.
func deliverable(id string) string {
	return fmt.Sprintf(`{"id":%q,"event_type":"users.messages.email.Open","time":1700000000,"user":{"user_id":"u"}}`, id)
}

// Braze, two bridges that share a queue, and RudderStack: every event is
// delivered once, and both bridges show the sums.
func TestTwoBridgesShareAQueueOnNATS(t *testing.T) {
	servers := natstest.Cluster(t, 3)
	rudder := mockrudder.Start(t, mockrudder.WithSource("wk", mockrudder.HTTP))
	cfg := onNATS(t, natstest.URLs(servers), connectorTo(rudder.URL))
	first, second := run(t, cfg), run(t, cfg)
	const each = 400
	for i, b := range []*running{first, second} {
		braze := mockbraze.Start(t, mockbraze.WithSeed(uint64(i+1)))
		current := braze.Launch(mockbraze.Current{URL: b.Intake + "/currents", Token: "secret", Events: mockbraze.All})
		require.NoError(t, current.Send(t.Context(), each))
	}
	var sums []uint64
	eventually(t, func() bool {
		one, two := first.status(t)[0], second.status(t)[0]
		sums = []uint64{one.Received, one.Delivered + one.Dead, two.Received, two.Delivered + two.Dead}
		return one.Received == 2*each && one.Pending == 0 && two.Received == 2*each && two.Pending == 0
	}, "both show what both have done")
	require.Equal(t, []uint64{2 * each, 2 * each, 2 * each, 2 * each}, sums)
	status := first.status(t)[0]
	require.Zero(t, status.Duplicates)
	require.Positive(t, status.Dead, "some of all types cannot be delivered")
	seen := map[string]int{}
	for _, e := range rudder.Events(mockrudder.Filter{}) {
		seen[e.MessageID]++
	}
	require.Len(t, seen, int(status.Delivered))
	for id, n := range seen {
		require.Equal(t, 1, n, id)
	}
	code, body := second.get(t, "/metrics")
	require.Equal(t, 200, code)
	require.Contains(t, body, fmt.Sprintf("bridge_events_received_total{connector=\"default\"} %d\n", 2*each))
	require.Contains(t, body, "bridge_store_away 0\n")
}

// While the servers are away Braze is asked to come again and readiness says
// so; afterwards everything goes on by itself, and what was acknowledged is there.
func TestServersThatAreAwayAndComeBack(t *testing.T) {
	nats := natstest.Start(t)
	rudder := newStack(t)
	rudder.answer(503)
	b := run(t, onNATS(t, nats.URL(), connectorTo(rudder.URL)))
	code, body := b.post(t, "/currents", "secret", `{"events":[`+deliverable("1")+`]}`)
	require.Equal(t, 200, code, body)
	code, _ = b.get(t, "/readyz")
	require.Equal(t, 200, code)

	nats.Stop()
	eventually(t, func() bool { code, body = b.get(t, "/readyz"); return code == 503 }, "it is not ready")
	require.Contains(t, body, "the servers that keep the queue do not answer")
	_, metrics := b.get(t, "/metrics")
	require.Contains(t, metrics, "bridge_store_away 1\n")
	code, body = b.post(t, "/currents", "secret", `{"events":[`+deliverable("2")+`]}`)
	require.Equal(t, 503, code, body)

	nats.Resume(t)
	eventually(t, func() bool { code, _ = b.get(t, "/readyz"); return code == 200 }, "it is ready again")
	rudder.answer(200)
	code, body = b.post(t, "/currents", "secret", `{"events":[`+deliverable("2")+`]}`)
	require.Equal(t, 200, code, body)
	eventually(t, func() bool { return b.status(t)[0].Delivered == 2 }, "all is delivered")
	require.Len(t, rudder.items(t, "batch"), 2)
	require.Contains(t, b.log.String(), "the queue's servers answer again")
}

// One event that is larger than a message of NATS can be is answered 413; its
// neighbours pass once Braze has halved the batch, and Braze drops that one.
func TestAnEventThatIsTooLargeForNATS(t *testing.T) {
	nats := natstest.Start(t, func(o *server.Options) { o.MaxPayload = 64 << 10 })
	rudder := newStack(t)
	b := run(t, onNATS(t, nats.URL(), connectorTo(rudder.URL)))
	large := fmt.Sprintf(`{"id":"large","event_type":"t","time":1700000000,"user":{"user_id":"u"},"properties":{"pad":%q}}`, noise(256<<10))
	code, body := b.post(t, "/currents", "secret", `{"events":[`+deliverable("1")+`,`+large+`,`+deliverable("2")+`]}`)
	require.Equal(t, 413, code, body)
	require.Contains(t, body, "larger than the bridge's queue can keep")
	require.Zero(t, b.status(t)[0].Received, "nothing of the batch is stored")
	for _, half := range []string{deliverable("1"), deliverable("2")} {
		code, body = b.post(t, "/currents", "secret", `{"events":[`+half+`]}`)
		require.Equal(t, 200, code, body)
	}
	// A batch that is larger than a message only as a whole is taken.
	var many []string
	for i := range 40 {
		many = append(many, fmt.Sprintf(`{"id":"m%d","event_type":"t","time":1700000000,"user":{"user_id":"u"},"properties":{"pad":%q}}`, i, noise(5<<10)))
	}
	code, body = b.post(t, "/currents", "secret", `{"events":[`+strings.Join(many, ",")+`]}`)
	require.Equal(t, 200, code, body)
	eventually(t, func() bool { return b.status(t)[0].Delivered == 42 }, "all is delivered")
}

// noise is text that does not get smaller when it is packed.
func noise(n int) string {
	var b strings.Builder
	x := uint64(n)
	for b.Len() < n {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		fmt.Fprintf(&b, "%016x", x)
	}
	return b.String()[:n]
}

func TestAQueueOnNATSChangesOnlyWithARestart(t *testing.T) {
	nats := natstest.Start(t, func(o *server.Options) { o.Username, o.Password = "bridge", "hush" })
	cfg := onNATS(t, nats.URL(), connectorTo("http://127.0.0.1:1"))
	cfg.Queue.NATS.User, cfg.Queue.NATS.Password = "bridge", "hush"
	b := run(t, cfg)
	other := cfg
	other.Queue.NATS.Password = "hushed"
	require.NoError(t, b.bridge.Reload(t.Context(), other))
	require.Contains(t, b.log.String(), "this setting changes only with a restart\" setting=queue\n")
	other = cfg
	other.Queue.Store = "pebble"
	require.ErrorContains(t, b.bridge.Reload(t.Context(), other), "queue.user: is for a queue on NATS")
	require.NotContains(t, b.log.String(), "hush")
}

func TestAStartWithoutServersSaysWhatToDo(t *testing.T) {
	nats := natstest.Start(t, func(o *server.Options) { o.Username, o.Password = "bridge", "hush" })
	cfg := onNATS(t, nats.URL(), connectorTo("http://127.0.0.1:1"))
	cfg.Queue.NATS.User, cfg.Queue.NATS.Password = "bridge", "wrong-hush"
	log := &lockedBuffer{}
	_, err := OpenStore(t.Context(), cfg, slog.New(slog.NewTextHandler(log, nil)))
	require.ErrorContains(t, err, "the NATS server refuses them: check both")
	require.NotContains(t, err.Error(), "hush")
	require.NotContains(t, log.String(), "trying again", "waiting does not help")

	nats.Stop()
	cfg.Queue.NATS.Password = "hush"
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err = OpenStore(ctx, cfg, slog.New(slog.NewTextHandler(log, nil)))
	require.ErrorContains(t, err, "queue "+nats.URL()+": ")
	require.ErrorContains(t, err, "check host, port and network")
	require.Contains(t, log.String(), "the queue's servers do not answer; trying again")

	// A server that comes a little later is waited for.
	late := time.AfterFunc(time.Second, func() { nats.Resume(t) })
	defer late.Stop()
	store, err := OpenStore(t.Context(), cfg, nil)
	require.NoError(t, err)
	require.NoError(t, store.Close())
}

// The server asks for TLS and for a certificate that it knows.
func TestTLSTowardsNATS(t *testing.T) {
	cert, key := certificate(t, 1)
	otherCert, otherKey := certificate(t, 2)
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM([]byte(cert)))
	nats := natstest.Start(t, func(o *server.Options) {
		o.TLS, o.TLSVerify, o.TLSTimeout = true, true, 10
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	})
	cfg := onNATS(t, strings.Replace(nats.URL(), "nats://", "tls://", 1), connectorTo("http://127.0.0.1:1"))
	own := ClientTLS{CA: fileOf(t, "ca.pem", cert), Cert: fileOf(t, "cert.pem", cert), Key: fileOf(t, "key.pem", key), ServerName: "localhost"}
	cfg.Queue.NATS.TLS = own
	store, err := OpenStore(t.Context(), cfg, nil)
	require.NoError(t, err)
	require.NoError(t, store.Close())
	for name, change := range map[string]func(*ClientTLS){
		"the server is somebody else": func(c *ClientTLS) { c.CA = fileOf(t, "ca.pem", otherCert) },
		"its name is another one":     func(c *ClientTLS) { c.ServerName = "" },
		"the bridge is not known":     func(c *ClientTLS) { c.Cert, c.Key = fileOf(t, "c.pem", otherCert), fileOf(t, "k.pem", otherKey) },
		"the bridge shows nothing":    func(c *ClientTLS) { c.Cert, c.Key = "", "" },
	} {
		cfg.Queue.NATS.TLS = own
		change(&cfg.Queue.NATS.TLS)
		warnings, err := cfg.AskQueue(t.Context())
		var wrong *ConfigError
		if strings.HasPrefix(name, "the bridge") && err == nil {
			// The server may close the connection before its reason was read.
			require.Len(t, warnings, 1, name)
			require.Contains(t, warnings[0], "could not be asked", name)
			continue
		}
		require.ErrorAs(t, err, &wrong, name)
		require.ErrorContains(t, err, "queue: tls: ", name)
	}
}

func TestAskQueue(t *testing.T) {
	ask := func(urls string, replicas int, change ...func(*Config)) ([]string, error) {
		cfg := onNATS(t, urls, connectorTo("http://127.0.0.1:1"))
		cfg.Queue.NATS.Replicas = replicas
		for _, f := range change {
			f(&cfg)
		}
		return cfg.AskQueue(t.Context())
	}
	mistake := func(err error, want string) {
		t.Helper()
		var wrong *ConfigError
		require.ErrorAs(t, err, &wrong)
		require.ErrorContains(t, err, want)
	}
	alone := natstest.Start(t)
	warnings, err := ask(alone.URL(), 0)
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], "the server n1 stands alone")
	_, err = ask(alone.URL(), 3)
	mistake(err, "queue.replicas: is 3, and the server n1 stands alone")

	alone.Stop()
	warnings, err = ask(alone.URL(), 3)
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], "could not be asked, and the bridge starts only once it answers")

	without := natstest.Start(t, func(o *server.Options) { o.JetStream = false })
	_, err = ask(without.URL(), 0)
	mistake(err, "JetStream is off")
	secured := natstest.Start(t, func(o *server.Options) { o.Authorization = "hush" })
	_, err = ask(secured.URL(), 0, func(c *Config) { c.Queue.NATS.Token = "wrong-hush" })
	mistake(err, "token: the NATS server refuses it")
	require.NotContains(t, err.Error(), "hush")

	cluster := natstest.URLs(natstest.Cluster(t, 3))
	for _, replicas := range []int{0, 3, 2} {
		warnings, err = ask(cluster, replicas)
		require.NoError(t, err)
		require.Empty(t, warnings)
	}
	warnings, err = ask(cluster, 1)
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], "queue.replicas: is 1")
	_, err = ask(cluster, 5)
	mistake(err, "queue.replicas: the cluster test has 3 servers, and each stream is to be kept by 5")

	warnings, err = configFor(t).AskQueue(t.Context())
	require.NoError(t, err)
	require.Empty(t, warnings)
}
