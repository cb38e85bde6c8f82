package harness

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/natstest"
)

// A run with every fault passes on NATS as it does with the embedded store, and
// leaves nothing there for the next run to meet.
func TestRunOnNATS(t *testing.T) {
	server := natstest.Start(t)
	c := Config{Events: 2000, Faults: FaultsAll, Crashes: 2, Queue: server.URL()}
	r := requirePass(t, c)
	require.EqualValues(t, 2000, r.Acked)
	require.EqualValues(t, 21, r.Dead)
	require.EqualValues(t, 2000-21, r.Delivered)
	require.Equal(t, 2, r.Crashes)
	conn, err := nats.Connect(server.URL())
	require.NoError(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	account, err := js.AccountInfo(t.Context())
	require.NoError(t, err)
	require.Zero(t, account.Streams)
}
