package delivery

import (
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
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

// What came on a connection before the request was written is no response to it;
// and on a new connection there is none but its own.
func TestMisplacedResponses(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	for _, tt := range []struct {
		name                          string
		early, unsent, reused, closes bool
		status                        int
		misplaced                     bool
	}{
		{"usual", false, false, true, false, 200, false},
		{"before the request", true, false, true, false, 400, true},
		{"accepted before the body was read", false, true, false, false, 200, true},
		{"refused before the body was read", false, true, false, true, 413, false},
		{"the end of an idle connection", false, false, true, true, 408, true},
		{"the end of a new connection", false, false, false, true, 408, false},
	} {
		here, err := connection.NewTransport(1).DialContext(t.Context(), "tcp", listener.Addr().String())
		require.NoError(t, err)
		there, err := listener.Accept()
		require.NoError(t, err)
		pass := func(from, to net.Conn) {
			_, err := from.Write([]byte("x"))
			require.NoError(t, err)
			_, err = to.Read(make([]byte, 1))
			require.NoError(t, err)
		}
		pass(here, there)
		pass(there, here)
		if tt.early {
			pass(here, there)
		}
		why := misplaced(&http.Response{ProtoMajor: 1, StatusCode: tt.status, Close: tt.closes},
			httptrace.GotConnInfo{Conn: here, Reused: tt.reused}, &payload{ended: !tt.unsent})
		require.Equal(t, tt.misplaced, why != "", "%s: %s", tt.name, why)
		require.NoError(t, here.Close())
		require.NoError(t, there.Close())
	}
}
