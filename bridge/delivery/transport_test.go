package delivery

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/delivery/connection"
)

// After its age a connection is not used again, so that a changed address is found;
// a suspect has a connection of its own.
func TestConnectionsAreRenewed(t *testing.T) {
	bubble(t, "", func(t *testing.T, _ *rudder, _ *memQueue) {
		network := &pipes{}
		t.Cleanup(network.open.Wait)
		network.serve = serve(taking(okText))
		template := connection.NewTransport(1)
		template.DialContext = network.dial
		c := connection.Pool{MaxAge: 2 * time.Minute, Template: template}
		ask := func(alone bool) {
			transport, done := c.Get(alone)
			req, err := http.NewRequest(http.MethodPost, "http://rudder.test", http.NoBody)
			require.NoError(t, err)
			res, err := transport.RoundTrip(req)
			require.NoError(t, err)
			_, _ = io.Copy(io.Discard, res.Body)
			require.NoError(t, res.Body.Close())
			synctest.Wait()
			done()
		}
		for range 6 { // 0 to 100 s
			ask(false)
			time.Sleep(20 * time.Second)
		}
		require.EqualValues(t, 1, network.dials.Load())
		ask(false) // at 120 s
		require.EqualValues(t, 2, network.dials.Load())
		ask(true)
		ask(true)
		require.EqualValues(t, 4, network.dials.Load())
		ask(false)
		require.EqualValues(t, 4, network.dials.Load())
		c.Close()
	})
}
