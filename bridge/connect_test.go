package bridge

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

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
	require.Len(t, wrong.Mistakes, 4)
	require.ErrorContains(t, err, "connectors[0].queue: PostgreSQL cannot be reached")
	require.ErrorContains(t, err, "connectors[0].rudder_url: RudderStack gives no answer")
	require.ErrorContains(t, err, "connectors[1].rudder_url: RudderStack gives no answer: tls: failed to verify certificate")
	require.ErrorContains(t, err, "connectors[2].ca_file: open /none.pem")
	require.NotContains(t, err.Error(), "s3cret")
}
