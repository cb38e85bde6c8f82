package bridge

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/logbuffer"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode) // gin lists its routes on standard output otherwise
	os.Exit(m.Run())
}

type running struct {
	Addresses
	cfg    config.Config
	bridge *Bridge
	log    *logbuffer.Buffer
	stop   func() error
}

type change = func(cfg *config.Config, c *config.Connector)

// runTo runs a bridge with one connector to a URL, beside other tests.
func runTo(t *testing.T, url string, changes ...change) *running {
	t.Parallel()
	cfg := configFor(t, connectorTo(url))
	for _, change := range changes {
		change(&cfg, &cfg.Connectors[0])
	}
	return run(t, cfg)
}

func (r *running) change(t *testing.T, change change) {
	r.cfg.Connectors = slices.Clone(r.cfg.Connectors)
	change(&r.cfg, &r.cfg.Connectors[0])
	r.reload(t, r.cfg)
}

// delivered requires that a number of events is delivered once nothing is pending.
func (r *running) delivered(t *testing.T, n int) {
	require.EqualValues(t, n, r.settled(t)[0].Delivered)
}

func configFor(t *testing.T, connectors ...config.Connector) config.Config {
	cfg := config.Default()
	cfg.Listen, cfg.Admin, cfg.DataDir = "127.0.0.1:0", "127.0.0.1:0", t.TempDir()
	cfg.Connectors = connectors
	return cfg
}

// connectorTo is the one connector, whose token is secret, or one with a name, whose
// token is that name.
func connectorTo(url string, name ...string) config.Connector {
	c := config.DefaultConnector()
	c.Tokens, c.RudderURL, c.WriteKey = []string{"secret"}, url, "wk"
	c.Backoff = config.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond}
	if name != nil {
		c.Name, c.Tokens = name[0], name
	}
	return c
}

func run(t *testing.T, cfg config.Config) *running {
	t.Helper()
	r := &running{cfg: cfg, log: &logbuffer.Buffer{}}
	ready := make(chan Addresses, 1)
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b, err := New(cfg, Options{Log: log, Ready: func(a Addresses) { ready <- a }})
	require.NoError(t, err)
	r.bridge = b
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	select {
	case r.Addresses = <-ready:
	case err := <-ended:
		cancel()
		require.NoError(t, err)
		t.Fatal("the bridge ended before it was ready")
	}
	t.Cleanup(func() { require.NoError(t, r.stop()) })
	return r
}

func (r *running) reload(t *testing.T, cfg config.Config) {
	require.NoError(t, r.bridge.Reload(t.Context(), cfg, nil))
}

func (r *running) logged(t *testing.T, lines ...string) {
	for _, line := range lines {
		require.Contains(t, r.log.String(), line)
	}
}

func (r *running) try(t *testing.T, path, token, body string) (int, string) {
	status, answer := do(t, http.DefaultClient, http.MethodPost, r.Intake+path, body, bearer(token))
	return status, strings.TrimSpace(answer)
}

func (r *running) post(t *testing.T, path, token, body string) string {
	status, answer := r.try(t, path, token, body)
	require.Equal(t, 200, status, answer)
	return answer
}

func (r *running) get(t *testing.T, path string, status int) string {
	got, answer := do(t, http.DefaultClient, http.MethodGet, r.Admin+path, "")
	require.Equal(t, status, got, answer)
	return answer
}

func bearer(token string) func(*http.Request) {
	return func(req *http.Request) { req.Header.Set("Authorization", "Bearer "+token) }
}

// do sends a request, with changes to it.
func do(t *testing.T, client *http.Client, method, url, body string, changes ...func(*http.Request)) (status int, answer string) {
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for _, change := range changes {
		change(req)
	}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

func (r *running) status(t *testing.T) []admin.ConnectorStatus {
	body := r.get(t, "/status", 200)
	var s admin.Status
	require.NoError(t, json.Unmarshal([]byte(body), &s))
	return s.Connectors
}

func (r *running) settled(t *testing.T) []admin.ConnectorStatus {
	var s []admin.ConnectorStatus
	eventually(t, func() bool {
		s = r.status(t)
		return !slices.ContainsFunc(s, func(c admin.ConnectorStatus) bool { return c.Pending > 0 })
	}, "nothing is pending")
	return s
}

const unusual = `{"events":[
	{"id":"e1","event_type":"users.messages.email.Open","time":1700000000,"user":{"user_id":"u1","external_user_id":"x1"},"properties":{"a":1,"a.b":2,"c/d":3,"7":"x","big":9007199254740993,"z":"\u0000"}},
	{"id":12345678901234567890,"event_type":"users.behaviors.CustomEvent","user":{"user_id":"u2"}},
	"no object",
	{"id":"e4","user":{"user_id":"u4"}},
	{"id":"e5","event_type":"agentconsole.ToolInvocation"},
	{"id":"e6","event_type":"t","user":{"user_id":" ","external_user_id":"\t"}},
	{"id":"e1","event_type":"users.messages.email.Open","user":{"user_id":"u1"}}]}`

func TestEventsModeEndToEnd(t *testing.T) {
	rudder := newStack(t)
	r := runTo(t, rudder.URL)
	answer := r.post(t, "/currents", "secret", unusual)
	require.Equal(t, `{"accepted":6,"duplicates":1,"dead":4}`, answer)

	s := r.settled(t)[0]
	s.OldestPendingSeconds = 0
	require.Equal(t, admin.ConnectorStatus{Name: "default", Received: 7, Duplicates: 1, Accepted: 6, Delivered: 2, Dead: 4, Destination: admin.Destination{State: "ok"}}, s)
	got := strings.Join(rudder.items(t, "batch"), "\n")
	require.Contains(t, got, `"messageId":"e1"`)
	require.Contains(t, got, `"properties":{"a":1,"a.b":2,"c/d":3,"7":"x","big":9007199254740993,"z":"\u0000"}`)
	require.Contains(t, got, `"messageId":"12345678901234567890"`)
	require.Equal(t, []string{"/v1/batch"}, rudder.paths)
	require.Equal(t, []string{"wk"}, rudder.auth)

	body := r.get(t, "/api/dead", 200)
	var letters admin.Letters
	require.NoError(t, json.Unmarshal([]byte(body), &letters))
	var reasons []string
	for _, l := range letters.Dead {
		reasons = append(reasons, l.Reason)
	}
	require.Equal(t, []string{"not_an_object", "no_event_type", "no_identity", "no_identity"}, reasons)
	require.JSONEq(t, `"no object"`, string(letters.Dead[0].Event))

	metrics := r.get(t, "/metrics", 200)
	for _, line := range []string{
		`bridge_events_delivered_total{connector="default"} 2`,
		`bridge_requests_total{code="200",connector="default"} 1`,
		`bridge_delivery_requests_total{class="2xx",connector="default"} 1`,
		`bridge_delivery_attempted_events_total{connector="default"} 2`,
		`bridge_ack_duration_seconds_count{connector="default"} 1`,
	} {
		require.Contains(t, metrics, line+"\n")
	}
}

func TestWebhookModeEndToEnd(t *testing.T) {
	rudder := newStack(t)
	r := runTo(t, rudder.URL, func(_ *config.Config, c *config.Connector) { c.Mode = config.Webhook })
	answer := r.post(t, "/v1/webhook?writeKey=secret", "", unusual)
	require.Equal(t, `{"accepted":6,"duplicates":1,"dead":5}`, answer)
	s := r.settled(t)[0]
	require.Equal(t, uint64(1), s.Delivered)
	require.Equal(t, uint64(5), s.Dead)
	events := rudder.items(t, "events")
	require.Len(t, events, 1)
	require.Contains(t, events[0], `12345678901234567890`)
	require.Equal(t, []string{"/v1/webhook?writeKey=wk"}, rudder.paths)
}

func event(id string) string {
	return fmt.Sprintf(`{"events":[{"id":%q,"event_type":"t","user":{"user_id":"u"}}]}`, id)
}

func TestOneDestinationDoesNotHoldUpAnother(t *testing.T) {
	t.Parallel()
	good, bad := newStack(t), newStack(t)
	bad.answer(http.StatusUnauthorized)
	r := run(t, configFor(t, connectorTo(bad.URL, "a"), connectorTo(good.URL, "b")))
	r.post(t, "/currents", "a", event("1"))
	r.post(t, "/currents/b", "b", event("1"))
	eventually(t, func() bool {
		s := r.status(t)
		return s[0].Destination.State == "paused" && s[0].Pending == 1 && s[1].Delivered == 1
	}, "one is paused and the other delivers")
}

func TestRunFailsEarly(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	cfg := configFor(t, connectorTo("http://127.0.0.1:1"))
	running := run(t, cfg)
	for want, change := range map[string]func(*config.Config){
		"listen: listen tcp " + taken.Addr().String():              func(c *config.Config) { c.Listen = taken.Addr().String() },
		"admin: listen tcp " + taken.Addr().String():               func(c *config.Config) { c.Admin = taken.Addr().String() },
		"data_dir " + cfg.DataDir + ": " + queue.ErrLocked.Error(): func(c *config.Config) { c.DataDir = cfg.DataDir },
		"data_dir /dev/null/x":                                     func(c *config.Config) { c.DataDir = "/dev/null/x" },
	} {
		other := cfg
		other.DataDir = t.TempDir()
		change(&other)
		b, err := New(other, Options{})
		require.NoError(t, err)
		require.ErrorContains(t, b.Run(t.Context()), want)
	}
	require.NoError(t, running.stop())
}

func TestNewRefusesAWrongConfig(t *testing.T) {
	cfg := configFor(t, connectorTo("http://r"))
	cfg.Connectors[0].Tokens = nil
	_, err := New(cfg, Options{})
	require.ErrorContains(t, err, "connectors[0].token: is missing")
	cfg.Connectors[0].Open = true
	_, err = New(cfg, Options{})
	require.NoError(t, err)
}

// A bridge that stops while a client is in the middle of its body finishes that
// request. As soon as the public address accepts no connection, /readyz is 503.
func TestRequestsInFlightAreFinished(t *testing.T) {
	t.Parallel()
	for range 2 {
		cfg := configFor(t, connectorTo(newStack(t).URL))
		r := run(t, cfg)
		r.get(t, "/readyz", 200)
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.Intake, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		_, err = fmt.Fprintf(conn, "POST /currents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nContent-Length: %d\r\n\r\n{", len(event("1")))
		require.NoError(t, err)
		eventually(t, func() bool {
			metrics := r.get(t, "/metrics", 200)
			return strings.Contains(metrics, "bridge_requests_reading 1\n")
		}, "it is being read")

		stopped := make(chan error, 1)
		go func() { stopped <- r.stop() }()
		eventually(t, func() bool {
			c, err := net.Dial("tcp", strings.TrimPrefix(r.Intake, "http://"))
			if err == nil {
				c.Close()
			}
			return err != nil
		}, "nothing new is taken")
		body := r.get(t, "/readyz", 503)
		require.Contains(t, body, `{"ready":false,"reason":"the bridge is stopping","connectors":[{`)
		r.get(t, "/livez", 200)
		_, err = io.WriteString(conn, event("1")[1:])
		require.NoError(t, err)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		require.Equal(t, 200, response.StatusCode)
		require.NoError(t, <-stopped)
		run(t, cfg).delivered(t, 1)
	}
}

// A dead letter that is replayed after RudderStack was repaired is delivered, and
// the ledger stays true all the way.
func TestReplayedDeadLettersAreDelivered(t *testing.T) {
	rudder := newStack(t)
	rudder.answer(http.StatusBadRequest)
	r := runTo(t, rudder.URL)
	events := `{"id":"1","event_type":"t","user":{"user_id":"u"}},{"id":"2","event_type":"t","user":{"user_id":"u"}},{"id":"3"}`
	r.post(t, "/currents", "secret", `{"events":[`+events+`]}`)
	ledger := r.settled(t)[0]
	require.EqualValues(t, 3, ledger.Dead)
	require.Zero(t, ledger.Delivered)

	rudder.answer(http.StatusOK)
	before := len(rudder.items(t, "batch"))
	for _, want := range [][2]string{
		{"number=1&number=2&number=99", `{"moved":1,"unfit":1,"connectors":[{"connector":"default","moved":1,"unfit":1}]}`},
		{"reason=refused", `{"moved":1,"connectors":[{"connector":"default","moved":1}]}`},
		{"all=true", `{"moved":0,"unfit":1,"connectors":[{"connector":"default","moved":0,"unfit":1}]}`},
	} {
		_, answer := do(t, http.DefaultClient, http.MethodPost, r.Admin+"/api/dead/replay?"+want[0], "")
		require.JSONEq(t, want[1], answer, want[0])
		r.settled(t)
	}
	ledger = r.settled(t)[0]
	require.EqualValues(t, 2, ledger.Delivered)
	require.EqualValues(t, 1, ledger.Dead, "nothing can help the one without an event type")
	require.EqualValues(t, 3, ledger.Accepted)
	require.EqualValues(t, 3, ledger.Received)
	require.Len(t, rudder.items(t, "batch"), before+2)
}

// What RudderStack answers to a batch without events, and what others do.
func TestConnect(t *testing.T) {
	t.Parallel()
	for _, row := range casefile.Read(t, "testdata/connect.tsv", 5) {
		mode, want := row[1], row[4]
		status, err := strconv.Atoi(row[2])
		require.NoError(t, err)
		t.Run(row[0], func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				key, _, _ := r.BasicAuth()
				if mode == config.Webhook {
					key = r.URL.Query().Get("writeKey")
				}
				if key != "wk" || r.Method != http.MethodPost {
					status = 500
				}
				w.Header().Set("Location", "/")
				w.WriteHeader(status)
				_, _ = w.Write([]byte(row[3]))
			}))
			defer s.Close()
			c := connectorTo(s.URL + "/")
			c.Mode = mode
			warnings, err := Connect(t.Context(), configFor(t, c))
			require.Empty(t, warnings)
			if want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "connectors[0]."+want)
		})
	}
}

func TestConnectToNothing(t *testing.T) {
	t.Parallel()
	tls := newTLSStack(t)
	a, b, c := connectorTo("http://127.0.0.1:1"), connectorTo(tls.URL), connectorTo(tls.URL)
	a.Queue = &config.Queue{URL: "postgres://bridge@127.0.0.1:1/db?connect_timeout=1", Password: "s3cret"}
	c.CAFile = "/none.pem"
	cfg := configFor(t, a, b, c)
	_, err := Connect(t.Context(), cfg)
	var wrong *config.Error
	require.ErrorAs(t, err, &wrong)
	want := []string{ // in the order of the configuration
		"connectors[0].queue: PostgreSQL cannot be reached", "connectors[0].rudder_url: RudderStack gives no answer",
		"connectors[1].rudder_url: RudderStack gives no answer: tls: failed to verify certificate", "connectors[2].ca_file: open /none.pem",
	}
	require.Len(t, wrong.Mistakes, len(want))
	for i, mistake := range wrong.Mistakes {
		require.Contains(t, mistake.String(), want[i])
	}
	require.NotContains(t, err.Error(), "s3cret")
}

type failing struct{ at time.Time }

func (f failing) Usage() queue.Usage {
	if time.Now().Before(f.at) {
		return queue.Usage{}
	}
	return queue.Usage{Err: queue.ErrFailed}
}

func TestAFailedStoreEndsTheBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		err := watchStore(t.Context(), failing{at: begin.Add(time.Minute)})
		require.ErrorIs(t, err, queue.ErrFailed)
		require.InDelta(t, time.Minute, time.Since(begin), float64(2*time.Second))

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, watchStore(ctx, failing{at: begin.Add(time.Hour)}))
	})
}

// What is wrong with one store is wrong with the bridge, and sizes are sums.
func TestUsageOfSeveralStores(t *testing.T) {
	older, newer, away := time.Unix(1, 0), time.Unix(2, 0), errors.New("away")
	sum := together(queue.Usage{Bytes: 1, Free: 7, Limit: 10, Damaged: 1, Scrubbed: newer},
		queue.Usage{Bytes: 2, Free: 5, Limit: 10, Full: true, Damaged: 2, Scrubbed: older, Away: away})
	sum = together(sum, queue.Usage{Bytes: 3, Free: 6, Limit: 10, Err: queue.ErrFailed, Scrubbed: newer})
	require.Equal(t, queue.Usage{Bytes: 6, Free: 5, Limit: 30, Full: true, Damaged: 3, Scrubbed: older, Err: queue.ErrFailed, Away: away}, sum)
}

// A queue is opened at the start alone.
func TestAQueueOfItsOwnNeedsARestart(t *testing.T) {
	t.Parallel()
	cfg := configFor(t, connectorTo("http://127.0.0.1:1"))
	r := run(t, cfg)
	c := connectorTo("http://127.0.0.1:1", "b")
	c.Queue = &config.Queue{URL: "postgres://bridge@db/b", AckWait: time.Minute}
	next := cfg
	next.Connectors = append([]config.Connector{cfg.Connectors[0]}, c)
	require.ErrorContains(t, r.bridge.Reload(t.Context(), next, nil), "connector b: its queue is opened with a restart only")
	next.Connectors = []config.Connector{cfg.Connectors[0]}
	next.Connectors[0].Queue = c.Queue
	r.reload(t, next)
	r.logged(t, `msg="this setting changes only with a restart" connector=default setting=queue`)
	require.NotContains(t, r.log.String(), "postgres")
}
