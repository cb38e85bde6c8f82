package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/internal/natstest"
)

func TestServeAndCheckOnNATS(t *testing.T) {
	server := natstest.Start(t)
	flags := []string{"--rudder-url", rudderStack(t).URL, "--write-key", "wk", "--braze-token", "s3cret", "--queue", server.URL()}
	code, stdout, stderr := runBridge(t, nil, append([]string{"check"}, flags...)...)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "warning: queue: the server n1 stands alone")
	require.Contains(t, stdout, "events in "+server.URL())

	s := serve(t, nil, flags...)
	s.post(t, twoEvents)
	code, stdout, stderr = runBridge(t, nil, "status", "--admin", strings.TrimPrefix(s.admin, "http://"))
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "default")

	code, _, stderr = runBridge(t, []string{"BRIDGE_QUEUE=" + server.URL(), "BRIDGE_DATA_DIR=/var/lib/bridge"}, "repair")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "a repair is for the data directory of pebble")

	server.Stop()
	code, stdout, stderr = runBridge(t, nil, append([]string{"check"}, flags...)...)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "warning: queue: could not be asked")
	code, stdout, stderr = runBridge(t, nil, append([]string{"check", "--queue-token", "a", "--queue-user", "b"}, flags...)...)
	require.Equal(t, 1, code, stderr)
	require.Contains(t, stdout, "--queue-token: queue.token: cannot stand beside queue.user")
}

// A bridge that is killed while RudderStack has its request leaves its events
// to the others, within queue.ack_wait.
func TestAnotherBridgeTakesOver(t *testing.T) {
	server := natstest.Start(t)
	var hangs atomic.Bool
	hangs.Store(true)
	asked := make(chan struct{}, 100)
	rudder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && hangs.Load() {
			_, _ = io.Copy(io.Discard, r.Body) // only then does it see that the client has gone
			asked <- struct{}{}
			<-r.Context().Done()
		}
	}))
	t.Cleanup(rudder.Close)
	flags := []string{"--rudder-url", rudder.URL, "--write-key", "wk", "--braze-token", "s3cret", "--queue", server.URL(), "--queue-ack-wait", "2s"}
	first := serve(t, nil, flags...)
	first.post(t, twoEvents)
	<-asked
	hangs.Store(false)
	second := serve(t, nil, flags...)
	ledger := func() admin.ConnectorStatus {
		code, stdout, stderr := runBridge(t, nil, "status", "--json", "--admin", strings.TrimPrefix(second.admin, "http://"))
		require.Zero(t, code, stderr)
		var status admin.Status
		require.NoError(t, json.Unmarshal([]byte(stdout), &status))
		return status.Connectors[0]
	}
	before := ledger()
	require.Positive(t, before.Pending, "the first one still has them")
	require.NoError(t, first.cmd.Process.Kill())
	killed := time.Now()
	require.Eventually(t, func() bool { return ledger().Pending == 0 }, 30*time.Second, 20*time.Millisecond)
	t.Logf("taken over and delivered %s after the kill", time.Since(killed).Round(10*time.Millisecond))
	require.Equal(t, before.Pending, ledger().Delivered)
}
