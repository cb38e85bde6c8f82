package bridge

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
)

// asked gets the status by a host and returns what was answered.
func (r *running) asked(t *testing.T, host string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.Admin+"/status", nil)
	require.NoError(t, err)
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

// The names of the configuration are those that the admin address answers to,
// also when they change while it runs.
func TestAdminHosts(t *testing.T) {
	cfg := configFor(t, connectorTo(newStack(t).URL))
	cfg.AdminHosts = []string{"old.example.com"}
	cfg.Admin = "localhost:0"
	r := run(t, cfg)
	require.Equal(t, 200, r.asked(t, "old.example.com"))
	require.Equal(t, 403, r.asked(t, "new.example.com"))
	require.Equal(t, 200, r.asked(t, "localhost:9090"))
	require.Equal(t, 200, r.asked(t, "bridge:9090"))

	next := cfg
	next.AdminHosts = []string{"new.example.com"}
	next.Admin = "elsewhere.example.com:9090" // needs a restart
	require.NoError(t, r.bridge.Reload(t.Context(), next))
	require.Contains(t, r.log.String(), `msg="setting is changed" setting=admin_hosts`)
	require.Equal(t, 403, r.asked(t, "old.example.com"))
	require.Equal(t, 200, r.asked(t, "new.example.com"))
	require.Equal(t, 403, r.asked(t, "elsewhere.example.com"))

	next.AdminToken = "operator"
	require.NoError(t, r.bridge.Reload(t.Context(), next))
	require.Equal(t, 401, r.asked(t, "new.example.com"))
	require.Equal(t, []string{"elsewhere.example.com"}, config.Config{Admin: next.Admin}.AdminNames(), "whoever listens by a name is asked by it")
}
