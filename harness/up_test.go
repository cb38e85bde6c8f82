package harness

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/bridgeproc"
	"github.com/currentsbridge/currentsbridge/internal/logbuffer"
)

func TestUp(t *testing.T) {
	t.Parallel()
	for _, mode := range []Mode{ModeEvents, ModeWebhook} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			out := &logbuffer.Buffer{}
			ports, err := bridgeproc.FreePorts(4)
			require.NoError(t, err)
			c := UpConfig{Mode: mode, Bridge: bridgeProgram(t), Out: out, Braze: ports[0], Rudder: ports[1], Listen: ports[2], Admin: ports[3]}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- Up(ctx, c) }()
			waiting, stop := context.WithTimeout(t.Context(), 30*time.Second)
			defer stop()
			require.NoError(t, await(waiting, func() bool { return strings.Contains(out.String(), "Try:") }))

			send := "http://" + c.Braze + "/api/currents/1/send?events="
			require.Contains(t, out.String(), "curl -X POST '"+send+"1020'", "ten of each of 102 types")
			res, err := http.Post(send+"204", "", nil)
			require.NoError(t, err)
			res.Body.Close()
			require.Equal(t, http.StatusOK, res.StatusCode)
			require.NoError(t, await(waiting, func() bool { return stored(t, c.Rudder) == 202 }))
			cancel()
			require.NoError(t, <-ended)
		})
	}
}

func stored(t *testing.T, rudder string) (n int) {
	t.Helper()
	res, err := http.Get("http://" + rudder + "/_mock/stats")
	require.NoError(t, err)
	defer res.Body.Close()
	var stats struct{ Stored int }
	require.NoError(t, json.NewDecoder(res.Body).Decode(&stats))
	return stats.Stored
}

func TestUpNamesAnAddressInUse(t *testing.T) {
	t.Parallel()
	ports, err := bridgeproc.FreePorts(1)
	require.NoError(t, err)
	taken := ports[0]
	_, stop, err := serve(taken, http.NotFoundHandler())
	require.NoError(t, err)
	defer stop()
	err = Up(t.Context(), UpConfig{Rudder: taken, Bridge: bridgeProgram(t)})
	require.ErrorContains(t, err, taken)
	const free = "127.0.0.1:0"
	err = Up(t.Context(), UpConfig{Rudder: free, Braze: free, Listen: taken, Admin: free, Bridge: bridgeProgram(t)})
	require.ErrorContains(t, err, "ended before it was ready")
	require.ErrorContains(t, err, "address already in use")
}
