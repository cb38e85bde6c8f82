package admin

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func TestBackfill(t *testing.T) {
	pending := func(n uint64) func() queue.Ledger { return func() queue.Ledger { return queue.Ledger{Accepted: n} } }
	for name, c := range map[string]struct {
		query   string
		pending uint64
		err     error
		status  int
		want    string
	}{
		"stored":                     {query: "?connector=b", status: http.StatusOK, want: `{"accepted":4,"duplicates":3,"filtered":2,"dead":1}`},
		"a backlog":                  {query: "?connector=b", pending: maxBackfillPending, status: http.StatusOK, want: `"accepted":4`},
		"a larger backlog":           {query: "?connector=b", pending: maxBackfillPending + 1, status: http.StatusServiceUnavailable, want: "20001 events are pending"},
		"a full disk":                {query: "?connector=b", err: queue.ErrFull, status: http.StatusServiceUnavailable, want: "no room"},
		"too large":                  {query: "?connector=b", err: queue.ErrTooLarge, status: http.StatusRequestEntityTooLarge, want: "larger"},
		"another error":              {query: "?connector=b", err: errors.New("x"), status: http.StatusServiceUnavailable, want: "could not store"},
		"no connector":               {status: http.StatusBadRequest, want: "connector is missing"},
		"an unknown connector":       {query: "?connector=x", status: http.StatusNotFound, want: "no connector"},
		"a connector not configured": {query: "?connector=gone", status: http.StatusConflict, want: "not in the configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.b.ledger = pending(c.pending)
			f.failure = c.err
			body := f.request(t, httptest.NewRequest(http.MethodPost, "/api/backfill"+c.query, strings.NewReader(`{"events":[]}`)), c.status)
			require.Contains(t, body, c.want)
			if c.status == http.StatusOK {
				require.Equal(t, `b {"events":[]}`, f.backfilled)
			}
		})
	}
}
