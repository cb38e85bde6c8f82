package bridge

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whoever is refused at the public address finds /readyz saying so already: at
// no moment is a bridge that takes nothing called ready.
func TestNotReadyBeforeIntakeCloses(t *testing.T) {
	for range 5 {
		r := run(t, configFor(t, connectorTo(newStack(t).URL)))
		code, _ := r.get(t, "/readyz")
		require.Equal(t, 200, code)
		// A request that is under way keeps the bridge from ending.
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.Intake, "http://"))
		require.NoError(t, err)
		_, err = conn.Write([]byte("POST /currents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nContent-Length: 10\r\n\r\n{"))
		require.NoError(t, err)
		eventually(t, func() bool {
			_, metrics := r.get(t, "/metrics")
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
		code, body := r.get(t, "/readyz")
		require.Equal(t, 503, code)
		require.Contains(t, body, "the bridge is stopping")
		code, _ = r.get(t, "/livez")
		require.Equal(t, 200, code)
		require.NoError(t, conn.Close())
		require.NoError(t, <-stopped)
	}
}
