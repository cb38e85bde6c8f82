package bridge

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
)

// What RudderStack answers to a batch without events, and what others do.
func TestConnect(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		mode   string
		status int
		body   string
		want   string
	}{
		"good":                  {config.Events, 400, "empty batch payload\n", ""},
		"good webhook":          {config.Webhook, 400, "All requests in the batch failed\n", ""},
		"unknown key":           {config.Events, 401, "invalid write key\n", "connectors[0].write_key: RudderStack does not know it"},
		"key of another source": {config.Webhook, 401, "invalid write key\n", "connectors[0].write_key: RudderStack does not know it as the key of a Braze source"},
		"disabled source":       {config.Events, 404, "source is disabled\n", "connectors[0].write_key: its source is disabled"},
		"wrong path":            {config.Events, 404, "404 page not found\n", "connectors[0].rudder_url: is that RudderStack's data plane? The answer to an empty batch is 404 Not Found"},
		"a proxy":               {config.Events, 400, "<html>", "connectors[0].rudder_url: is that RudderStack's data plane? The answer to an empty batch is 400"},
		"a page":                {config.Events, 200, "ok", "connectors[0].rudder_url: is that RudderStack's data plane? The answer to an empty batch is 200"},
		"a redirect":            {config.Events, 302, "", "connectors[0].rudder_url: is that RudderStack's data plane? The answer to an empty batch is 302"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				key, _, _ := r.BasicAuth()
				if tt.mode == config.Webhook {
					key = r.URL.Query().Get("writeKey")
				}
				if key != "wk" || r.Method != http.MethodPost {
					tt.status = 500
				}
				w.Header().Set("Location", "/")
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
			}))
			defer s.Close()
			c := connectorTo(s.URL + "/")
			c.Mode = tt.mode
			warnings, err := Connect(t.Context(), configFor(t, c))
			require.Empty(t, warnings)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.want)
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
	require.Len(t, wrong.Mistakes, 4)
	require.ErrorContains(t, err, "connectors[0].queue: PostgreSQL cannot be reached")
	require.ErrorContains(t, err, "connectors[0].rudder_url: RudderStack gives no answer")
	require.ErrorContains(t, err, "connectors[1].rudder_url: RudderStack gives no answer: tls: failed to verify certificate")
	require.ErrorContains(t, err, "connectors[2].ca_file: open /none.pem")
	require.NotContains(t, err.Error(), "s3cret")
}
