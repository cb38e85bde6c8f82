package harness

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/bridgeproc"
	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
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
			require.NoError(t, jsoncall.Do(waiting, http.MethodPost, send+"204", nil, nil))
			require.NoError(t, await(waiting, func() bool {
				var stats struct{ Stored int }
				require.NoError(t, jsoncall.Do(waiting, http.MethodGet, "http://"+c.Rudder+"/_mock/stats", nil, &stats))
				return stats.Stored == 202
			}))
			cancel()
			require.NoError(t, <-ended)
		})
	}
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
