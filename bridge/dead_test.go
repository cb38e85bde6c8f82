package bridge

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// A dead letter that is replayed after RudderStack was mended is delivered, and
// the ledger stays true all the way.
func TestReplayedDeadLettersAreDelivered(t *testing.T) {
	rudder := newStack(t)
	rudder.answer(http.StatusBadRequest)
	r := run(t, configFor(t, connectorTo(rudder.URL)))
	events := `{"id":"1","event_type":"t","user":{"user_id":"u"}},{"id":"2","event_type":"t","user":{"user_id":"u"}},{"id":"3"}`
	code, answer := r.post(t, "/currents", "secret", `{"events":[`+events+`]}`)
	require.Equal(t, 200, code, answer)
	ledger := r.settled(t)[0]
	require.EqualValues(t, 3, ledger.Dead)
	require.Zero(t, ledger.Delivered)

	rudder.answer(http.StatusOK)
	before := len(rudder.items(t, "batch"))
	for _, want := range [][2]string{
		{"number=1&number=2&number=99", `{"moved":1,"unfit":1,"connectors":[{"connector":"default","moved":1,"unfit":1}]}`},
		{"reason=refused", `{"moved":1,"connectors":[{"connector":"default","moved":1}]}`},
		{"all=true", `{"moved":0,"unfit":1,"connectors":[{"connector":"default","moved":0,"unfit":1}]}`},
	} {
		resp, err := http.Post(r.Admin+"/api/dead/replay?"+want[0], "", nil)
		require.NoError(t, err)
		answer, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.JSONEq(t, want[1], string(answer), want[0])
		r.settled(t)
	}
	ledger = r.settled(t)[0]
	require.EqualValues(t, 2, ledger.Delivered)
	require.EqualValues(t, 1, ledger.Dead, "nothing can help the one without an event type")
	require.EqualValues(t, 3, ledger.Accepted)
	require.EqualValues(t, 3, ledger.Received)
	require.Len(t, rudder.items(t, "batch"), before+2)
}
