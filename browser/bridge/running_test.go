// Package bridge_test shows the operator's page of a running bridge, between the
// fakes, to a real browser.
package bridge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge"
	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/browser/browsertest"
	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode) // gin lists its routes on standard output otherwise
	os.Exit(m.Run())
}

const timeout = 30 * time.Second

type running struct {
	t      *testing.T
	rudder *mockrudder.Server
	at     bridge.Addresses
	token  string
}

// run starts a bridge with the connectors brand-a and brand-b. It ends with the test.
func run(t *testing.T, token string) *running {
	t.Helper()
	r := &running{t: t, rudder: mockrudder.Start(t, mockrudder.WithSource("wk-brand-a", mockrudder.HTTP), mockrudder.WithSource("wk-brand-b", mockrudder.HTTP)), token: token}
	cfg := config.Default()
	cfg.Listen, cfg.Admin, cfg.DataDir, cfg.AdminToken, cfg.Grace = "127.0.0.1:0", "127.0.0.1:0", t.TempDir(), token, time.Second
	for _, name := range []string{"brand-a", "brand-b"} {
		c := config.DefaultConnector()
		c.Name, c.Tokens, c.RudderURL, c.WriteKey = name, []string{"tok-" + name}, r.rudder.URL, "wk-"+name
		c.Backoff = config.Backoff{Min: time.Millisecond, Max: 20 * time.Millisecond}
		cfg.Connectors = append(cfg.Connectors, c)
	}
	ready := make(chan bridge.Addresses, 1)
	b, err := bridge.New(cfg, bridge.Options{Ready: func(a bridge.Addresses) { ready <- a }})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	select {
	case r.at = <-ready:
	case err := <-ended:
		ended <- err
		require.NoError(t, err)
	}
	return r
}

func (r *running) post(connector string, events ...string) {
	r.t.Helper()
	api := jsoncall.API{Base: r.at.Intake, Token: "tok-" + connector}
	body := json.RawMessage(`{"events":[` + strings.Join(events, ",") + `]}`)
	require.NoError(r.t, api.Do(r.t.Context(), http.MethodPost, "/currents/"+connector, body, nil))
}

func event(id, extra string) string {
	return fmt.Sprintf(`{"id":%q,"event_type":"users.behaviors.CustomEvent","time":1767000000,"user":{"user_id":"u-%s","external_user_id":"person-%s"},"properties":{"name":"x","app_id":"a","big":12345678901234567890%s}}`, id, id, id, extra)
}

func (r *running) until(connector string, good func(admin.ConnectorStatus) bool) {
	r.t.Helper()
	var last admin.ConnectorStatus
	require.Eventually(r.t, func() bool {
		var status admin.Status
		require.NoError(r.t, jsoncall.API{Base: r.at.Admin, Token: r.token}.Do(r.t.Context(), http.MethodGet, "/status", nil, &status))
		for _, c := range status.Connectors {
			if c.Name == connector {
				last = c
			}
		}
		return good(last)
	}, timeout, 20*time.Millisecond, "%+v", &last)
}

func (r *running) refuse(text string, status int) (end func()) {
	r.t.Helper()
	id := "refuse-" + text
	require.NoError(r.t, r.rudder.Fault(mockrudder.Fault{ID: id, Status: status, Body: map[int]string{400: "event is not a valid rudder event", 403: "blocked by a rule"}[status], Contains: text}))
	return func() { require.True(r.t, r.rudder.RemoveFault(id)) }
}

func (r *running) page(browser *browsertest.Browser, fragment string) *browsertest.Page {
	r.t.Helper()
	page := browser.Open(r.t, r.at.Admin)
	page.Go(r.at.Admin + "/" + fragment)
	return page
}
