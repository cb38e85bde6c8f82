package bridge

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/certtest"
	"github.com/currentsbridge/currentsbridge/schemas"
)

func eventually(t *testing.T, holds func() bool, what string) {
	require.Eventually(t, holds, 30*time.Second, 5*time.Millisecond, what)
}

// A connector is added, one with pending events is removed, and added again: nothing
// is lost, and the unchanged one keeps its sender.
func TestConnectorsComeAndGo(t *testing.T) {
	t.Parallel()
	unchanged, removed, added := newStack(t), newStack(t), newStack(t)
	removed.answer(http.StatusServiceUnavailable)
	a, b, c := connectorTo(unchanged.URL, "a"), connectorTo(removed.URL, "b"), connectorTo(added.URL, "c")
	cfg := configFor(t, a, b)
	r := run(t, cfg)
	r.post(t, "/currents/b", "b", event("1"))
	eventually(t, func() bool { return r.status(t)[1].Destination.State == "backing-off" }, "b was tried")
	kept := r.bridge.components.connectors[0].sender.Load()

	cfg.Connectors = []config.Connector{c, a}
	r.reload(t, cfg)
	code, _ := r.try(t, "/currents/b", "b", event("2"))
	require.Equal(t, 401, code, "what is not in the configuration takes nothing")
	r.post(t, "/currents/a", "a", event("1"))
	r.post(t, "/currents/c", "c", event("1"))
	eventually(t, func() bool { s := r.status(t); return s[0].Delivered == 1 && s[1].Delivered == 1 }, "c and a are delivered")
	s := r.status(t)
	require.Equal(t, []string{"c", "a", "b"}, []string{s[0].Name, s[1].Name, s[2].Name})
	require.Equal(t, uint64(1), s[2].Pending)
	require.Equal(t, "paused", s[2].Destination.State)
	require.Equal(t, "the connector is not in the configuration; its events wait", s[2].Destination.LastError)
	require.Same(t, kept, r.bridge.components.connectors[1].sender.Load(), "an unchanged connector keeps its sender")
	r.logged(t, `msg="connector is added" connector=c`, `msg="configuration is reloaded" connectors=2`,
		`level=WARN msg="connector is removed, its events wait" connector=b pending=1 dead=0`)
	require.NotRegexp(t, `msg="connector is [^"]*" connector=a`, r.log.String())

	removed.answer(http.StatusOK)
	cfg.Connectors = []config.Connector{a, b, c}
	r.reload(t, cfg)
	for _, s := range r.settled(t) {
		require.Equal(t, uint64(1), s.Delivered, s.Name)
	}
	answer := r.post(t, "/currents/b", "b", event("1"))
	require.Contains(t, answer, `"duplicates":1`, "it remembers the ids that it had")
	require.Contains(t, r.get(t, "/metrics", 200), `bridge_config_reloads_total{result="ok"} 2`)
}

// Acknowledged events outlive the bridge. A restart with a configuration that lacks their
// connector shows that they wait, and they are delivered once it is back.
func TestAConnectorThatIsMissingAtTheStart(t *testing.T) {
	t.Parallel()
	rudder := newStack(t)
	rudder.answer(http.StatusServiceUnavailable)
	a, b, c := connectorTo(rudder.URL, "a"), connectorTo(rudder.URL, "b"), connectorTo(rudder.URL, "c")
	cfg := configFor(t, a, b, c)
	first := run(t, cfg)
	first.post(t, "/currents/b", "b", event("1"))
	first.post(t, "/currents/a", "a", event("1"))
	first.post(t, "/currents/a", "a", event("2"))
	eventually(t, func() bool { return first.status(t)[1].Destination.State == "backing-off" }, "it was tried")
	require.Contains(t, first.get(t, "/readyz", 200), `"state":"backing-off"`, "which does not make the bridge unready")
	require.NoError(t, first.stop())

	cfg.Connectors = []config.Connector{a}
	second := run(t, cfg)
	s := second.status(t)
	require.Len(t, s, 2, "c has nothing that waits")
	require.Equal(t, "b", s[1].Name)
	require.Equal(t, "paused", s[1].Destination.State)
	second.logged(t, `msg="a connector is not in the configuration, its events wait" connector=b pending=1 dead=0`)
	body := second.get(t, "/readyz", 200)
	require.Contains(t, body, "the connector is not in the configuration; its events wait")
	rudder.answer(http.StatusOK)
	cfg.Connectors = []config.Connector{a, b}
	second.reload(t, cfg)
	for _, name := range []string{"a", "b"} {
		require.Equal(t, `{"accepted":0,"duplicates":1,"dead":0}`, second.post(t, "/currents/"+name, name, event("1")))
	}
	require.Equal(t, uint64(1), second.settled(t)[1].Delivered)
	require.Len(t, rudder.items(t, "batch"), 3)
}

// TestReloadUnderLoad changes a connector's delivery again and again while
// batches come in: each is acknowledged, and each event is delivered once.
func TestReloadUnderLoad(t *testing.T) {
	one, other := newStack(t), newStack(t)
	r := runTo(t, one.URL)
	var stop atomic.Bool
	var sent atomic.Int64
	var senders sync.WaitGroup
	for worker := range 3 {
		senders.Go(func() {
			for i := 0; !stop.Load(); i++ {
				code, _ := r.try(t, "/currents", "secret", event(fmt.Sprintf("%d-%d", worker, i)))
				if code != 200 {
					t.Errorf("answered %d", code)
					return
				}
				sent.Add(1)
			}
		})
	}
	for i := range 4 {
		to := []*stack{one, other}[i%2]
		before, had := sent.Load(), len(to.items(t, "batch"))
		r.change(t, func(_ *config.Config, c *config.Connector) {
			c.Tokens = []string{"secret", fmt.Sprint("new", i)}
			c.RudderURL, c.BatchEvents = to.URL, 10+i
		})
		eventually(t, func() bool { return sent.Load() > before && len(to.items(t, "batch")) > had || t.Failed() }, "intake and delivery go on")
	}
	stop.Store(true)
	senders.Wait()
	r.delivered(t, int(sent.Load()))
	require.Len(t, append(one.items(t, "batch"), other.items(t, "batch")...), int(sent.Load()), "nothing twice")
}

// Two senders at once would have more in flight than is configured, and a crash
// would send all of it twice.
func TestAChangedSenderWaitsForTheOldOne(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	unblock := sync.OnceFunc(func() { close(release) })
	var at atomic.Int64
	slow := newStack(t)
	t.Cleanup(unblock)
	slow.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			return
		}
		at.Add(1)
		close(began)
		<-release
		_, _ = io.WriteString(w, "ok")
	})
	fast := newStack(t)
	r := runTo(t, slow.URL)
	r.post(t, "/currents", "secret", event("1"))
	<-began
	r.change(t, func(_ *config.Config, c *config.Connector) { c.RudderURL = fast.URL })
	r.post(t, "/currents", "secret", event("2")) // intake goes on
	require.Never(t, func() bool { return len(fast.items(t, "batch")) > 0 }, 200*time.Millisecond, 10*time.Millisecond, "the new one waits")
	unblock()
	r.delivered(t, 2)
	require.Equal(t, int64(1), at.Load())
	require.Len(t, fast.items(t, "batch"), 1)
}

func TestABadConfigurationIsRefused(t *testing.T) {
	r := runTo(t, newStack(t).URL)
	require.Contains(t, r.get(t, "/metrics", 200), `bridge_config_reloads_total{result="refused"} 0`)
	bad := r.cfg
	bad.Connectors = []config.Connector{{Name: "x y", Tokens: []string{"new"}, RudderURL: "ftp://u:s3cret@r", WriteKey: "k"}}
	var wrong *config.Error
	require.ErrorAs(t, r.bridge.Reload(t.Context(), bad, nil), &wrong)
	require.Greater(t, len(wrong.Mistakes), 5)
	for _, mistake := range wrong.Mistakes {
		require.Contains(t, r.log.String(), strings.ReplaceAll(mistake.Key, `"`, `\"`))
	}
	r.logged(t, "the old one stays in force")
	require.NotContains(t, r.log.String(), "s3cret")
	require.ErrorContains(t, r.bridge.Reload(t.Context(), config.Config{}, os.ErrNotExist), "not exist")
	r.post(t, "/currents", "secret", event("1"))
	r.delivered(t, 1)
	require.Contains(t, r.get(t, "/metrics", 200), `bridge_config_reloads_total{result="refused"} 2`)
}

// What needs a restart is named each time; the rest of the file is taken.
func TestWhatNeedsARestartIsNamed(t *testing.T) {
	r := runTo(t, newStack(t).URL)
	for i := range 2 {
		r.change(t, func(cfg *config.Config, c *config.Connector) {
			cfg.Listen, cfg.DataDir, cfg.Grace, cfg.AdminToken = "127.0.0.1:1", "/elsewhere", time.Second, "operator"
			c.DedupeWindow, c.Tokens = 7, []string{"rotated"}
		})
		for _, setting := range []string{"listen", "data_dir", "grace"} {
			line := `level=WARN msg="this setting changes only with a restart" setting=` + setting
			require.Equal(t, i+1, strings.Count(r.log.String(), line), setting)
		}
	}
	r.logged(t, `msg="connector is changed" connector=default settings="tokens, dedupe_window"`,
		`msg="this setting changes only with a restart" connector=default setting=dedupe_window`)
	require.NotContains(t, r.log.String(), "rotated")
	require.NotContains(t, r.log.String(), "operator")
	code, _ := r.try(t, "/currents", "secret", event("1"))
	require.Equal(t, 401, code)
	r.post(t, "/currents", "rotated", event("1"))
	r.get(t, "/status", 401) // the admin token holds at once
}

// The certificates that RudderStack's is verified with may change under the same
// name.
func TestTrustedCertificates(t *testing.T) {
	served := newTLSStack(t)
	cert, _ := certtest.New(t)
	file := casefile.Temp(t, "ca.pem", cert)
	r := runTo(t, served.URL, func(_ *config.Config, c *config.Connector) { c.CAFile = file })
	r.post(t, "/currents", "secret", event("1"))
	eventually(t, func() bool { return r.status(t)[0].Destination.State == "backing-off" }, "it is not trusted")
	require.Contains(t, r.status(t)[0].Destination.LastError, "certificate signed by unknown authority; if it is the right one, name the CA")
	trusted := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: served.Certificate().Raw})
	require.NoError(t, os.WriteFile(file, trusted, 0o600))
	r.reload(t, r.cfg)
	r.delivered(t, 1)
	r.logged(t, `msg="connector is changed" connector=default settings="files that it reads"`)
}

// TestSettingsOfTheBridge sees that the address has TLS, that the store scrubs, and that
// the largest event of Braze gets in with the smallest body that is allowed.
func TestSettingsOfTheBridge(t *testing.T) {
	cert, key := certtest.New(t)
	r := runTo(t, newStack(t).URL, func(cfg *config.Config, _ *config.Connector) {
		cfg.TLS = config.TLS{Cert: casefile.Temp(t, "cert.pem", cert), Key: casefile.Temp(t, "key.pem", key)}
		cfg.ScrubEvery, cfg.MaxBody = time.Second, 1<<20
	})
	require.True(t, strings.HasPrefix(r.Intake, "https://"), r.Intake)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM([]byte(cert)))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"}}}
	defer client.CloseIdleConnections()
	const largest = 900 << 10
	head, tail := `{"id":"1","event_type":"users.behaviors.CustomEvent","user":{"user_id":"u"},"properties":{"x":"`, `"}}`
	body := `{"events":[` + head + strings.Repeat("x", largest-len(head)-len(tail)) + tail + "]}"
	status, answer := do(t, client, http.MethodPost, r.Intake+"/currents", body, bearer("secret"))
	require.Equal(t, 200, status, answer)
	r.delivered(t, 1)
	eventually(t, func() bool {
		return !strings.Contains(r.get(t, "/metrics", 200), "bridge_store_scrubbed_timestamp_seconds 0\n")
	}, "the disk is read once")
}

// TestFiltersAndPersonalData sees that a connector's rules reach its sender, and
// that a reload changes them.
func TestFiltersAndPersonalData(t *testing.T) {
	rudder := newStack(t)
	r := runTo(t, rudder.URL, func(_ *config.Config, c *config.Connector) { c.Filter.Deny = []string{"t"} })
	r.post(t, "/currents", "secret", event("1"))
	require.Equal(t, uint64(1), r.settled(t)[0].Filtered)
	r.change(t, func(_ *config.Config, c *config.Connector) {
		c.Filter.Deny, c.Names.Map = nil, map[string]string{"t": "Renamed"}
		c.PII.Fields, c.Salt = map[string]mapping.Action{"user.user_id": "hash"}, "pepper"
	})
	r.post(t, "/currents", "secret", event("2"))
	r.delivered(t, 1)
	got := strings.Join(rudder.items(t, "batch"), "\n")
	require.Contains(t, got, `"event":"Renamed"`)
	require.NotContains(t, got, `"anonymousId":"u"`)
}

// TestTheLogHoldsNoSecretsAndNobody runs with everything logged.
func TestTheLogHoldsNoSecretsAndNobody(t *testing.T) {
	t.Parallel()
	rudder := newStack(t)
	c := connectorTo(rudder.URL)
	c.Tokens, c.WriteKey = []string{"t0ken-of-braze"}, "wr1te-key"
	c.PII.Preset, c.Salt = "hash", "s4lt-of-hashes"
	other := c
	other.Name, other.Mode, other.Tokens = "other", config.Webhook, []string{"t0ken-of-other"}
	cfg := configFor(t, c, other)
	cfg.AdminToken = "t0ken-of-admin"
	r := run(t, cfg)
	const person = `{"events":[{"id":"e%d","event_type":"users.messages.email.Open","user":{"external_user_id":"ada-4711"},"properties":{"email_address":"ada@example.com"}},{"id":"d%d"}]}`
	for i, status := range []int{200, 400, 401, 503, 200} {
		rudder.answer(status)
		for _, path := range []string{"/currents/default", "/v1/webhook?writeKey=t0ken-of-other", "/currents?secret=qu3ry"} {
			r.try(t, path, "t0ken-of-braze", fmt.Sprintf(person, i, i))
			r.try(t, path, "t0ken-wrong", fmt.Sprintf(person, i, i))
		}
	}
	wrong := config.Config{AdminToken: "t0ken of admin", Connectors: []config.Connector{{WriteKey: "wr1te-key:"}}}
	require.Error(t, r.bridge.Reload(t.Context(), wrong, nil))
	r.change(t, func(cfg *config.Config, c *config.Connector) {
		cfg.AdminToken, c.WriteKey, c.Salt = "", "wr1te-key-2", "s4lt-2"
	})
	do(t, http.DefaultClient, http.MethodPost, r.Admin+"/api/forget?user=ada-4711", "")
	require.NoError(t, r.stop())
	r.logged(t, "level=DEBUG")
	for _, secret := range []string{"t0ken", "wr1te-key", "s4lt", "qu3ry", "writeKey", "ada@example.com", "ada-4711"} {
		require.NotContains(t, r.log.String(), secret)
	}
}

// asked gets /status with a Host header and returns the status of the response.
func (r *running) asked(t *testing.T, host string) int {
	status, _ := do(t, http.DefaultClient, http.MethodGet, r.Admin+"/status", "", func(req *http.Request) { req.Host = host })
	return status
}

// The names of the configuration are those that the admin address answers to,
// also when they change while it runs.
func TestAdminHosts(t *testing.T) {
	r := runTo(t, newStack(t).URL, func(cfg *config.Config, _ *config.Connector) {
		cfg.AdminHosts, cfg.Admin = []string{"old.example.com"}, "localhost:0"
	})
	require.Equal(t, 200, r.asked(t, "old.example.com"))
	require.Equal(t, 403, r.asked(t, "new.example.com"))
	require.Equal(t, 200, r.asked(t, "localhost:9090"))
	require.Equal(t, 200, r.asked(t, "bridge:9090"))

	r.change(t, func(cfg *config.Config, _ *config.Connector) {
		cfg.AdminHosts, cfg.Admin = []string{"new.example.com"}, "elsewhere.example.com:9090" // which needs a restart
	})
	r.logged(t, `msg="setting is changed" setting=admin_hosts`)
	require.Equal(t, 403, r.asked(t, "old.example.com"))
	require.Equal(t, 200, r.asked(t, "new.example.com"))
	require.Equal(t, 403, r.asked(t, "elsewhere.example.com"))

	r.change(t, func(cfg *config.Config, _ *config.Connector) { cfg.AdminToken = "operator" })
	require.Equal(t, 401, r.asked(t, "new.example.com"))
	require.Equal(t, []string{"elsewhere.example.com"}, config.Config{Admin: r.cfg.Admin}.AdminNames(), "the name that it listens on is allowed")
}

// A newer glossary comes into force with a reload, and one that is wrong is
// refused.
func TestGlossaryIsReloaded(t *testing.T) {
	r := runTo(t, newStack(t).URL)
	g, err := schemas.Load()
	require.NoError(t, err)
	glossary := g.Version()
	require.Contains(t, r.get(t, "/metrics", 200), `glossary="`+glossary+`"`)
	before := r.bridge.components.connectors[0].sender.Load()
	r.reload(t, r.cfg)
	require.Same(t, before, r.bridge.components.connectors[0].sender.Load(), "the same glossary changes nothing")

	g.SchemaVersion++
	newer, err := g.Encode()
	require.NoError(t, err)
	r.cfg.Glossary = casefile.Temp(t, "glossary.json", `{"events":7}`)
	require.ErrorContains(t, r.bridge.Reload(t.Context(), r.cfg, nil), r.cfg.Glossary)
	require.NoError(t, os.WriteFile(r.cfg.Glossary, newer, 0o600))
	late, bad := connectorTo("http://127.0.0.1:1", "b"), r.cfg
	late.Queue = &config.Queue{URL: "postgres://bridge@db/b", AckWait: time.Minute}
	bad.Connectors = append(slices.Clone(bad.Connectors), late)
	require.ErrorContains(t, r.bridge.Reload(t.Context(), bad, nil), "its queue is opened with a restart only")
	require.Contains(t, r.get(t, "/metrics", 200), `glossary="`+glossary+`"`, "refused as a whole")
	r.reload(t, r.cfg)
	require.Contains(t, r.get(t, "/metrics", 200), fmt.Sprintf(`glossary="schema version %d (`, g.SchemaVersion))
	require.NotSame(t, before, r.bridge.components.connectors[0].sender.Load())
}
