package admin

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func TestStatus(t *testing.T) {
	f := newFixture(t)
	body := f.get(t, "/status")
	require.Equal(t, `{"connectors":[`+
		`{"name":"a","received":100,"duplicates":10,"accepted":90,"filtered":5,"delivered":40,"dead":7,"purged":3,"pending":35,"replayed":2,"backfilled":4,"oldest_pending_seconds":90.5,"destination":{"state":"ok","last_error":""},"parked":0},`+
		`{"name":"b","received":0,"duplicates":0,"accepted":0,"filtered":0,"delivered":0,"dead":0,"purged":0,"pending":0,"replayed":0,"backfilled":0,"oldest_pending_seconds":0,"destination":{"state":"paused","last_error":"401 Unauthorized"},"parked":0}`+
		`]}`, body)
}

func TestHealth(t *testing.T) {
	tests := []struct {
		name   string
		usage  queue.Usage
		status int
		body   string
	}{
		{"good, although a destination is not", queue.Usage{}, 200, `{"ready":true,"connectors":[{"name":"a","destination":{"state":"ok","last_error":""}},{"name":"b","destination":{"state":"paused","last_error":"401 Unauthorized"}}]}`},
		{"full", queue.Usage{Full: true}, 503, `{"ready":false,"reason":"queue is full",`},
		{"away", queue.Usage{Away: errors.New("no server answers")}, 503, `{"ready":false,"reason":"no server answers",`},
		{"failed", queue.Usage{Err: queue.ErrFailed}, 503, `{"ready":false,"reason":"queue's storage has failed",`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.usage = tt.usage
			body := f.call(t, tt.status, "GET /readyz", "")
			require.True(t, strings.HasPrefix(body, tt.body), body)
			f.get(t, "/livez")
		})
	}
}

func TestMetrics(t *testing.T) {
	f := newFixture(t)
	f.usage = queue.Usage{Bytes: 12, Free: 34, Limit: 56, Full: true, Damaged: 2, Scrubbed: noon, Err: queue.ErrFailed, Away: errors.New("no server answers")}
	f.b.replay = queue.Replay{Number: 1}
	f.about = About{Version: "v1", Glossary: "g1"}
	want, err := os.ReadFile("testdata/metrics.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), f.get(t, "/metrics"))
}

// TestMetricsOfOneScrapeBelongTogether has a ledger that moves each time it is
// read: were it read twice for one scrape, the sums would not hold.
func TestMetricsOfOneScrapeBelongTogether(t *testing.T) {
	f := newFixture(t)
	var n atomic.Uint64
	f.a.ledger = func() queue.Ledger {
		i := n.Add(1)
		return queue.Ledger{Received: 6 * i, Duplicates: i, Accepted: 5 * i, Filtered: i, Delivered: i, Dead: i, Purged: i}
	}
	for range 3 {
		body := f.get(t, "/metrics")
		value := func(name string) (n int) {
			_, after, _ := strings.Cut(body, "\nbridge_events_"+name+`{connector="a"} `)
			_, err := fmt.Sscan(after, &n)
			require.NoError(t, err, name)
			return n
		}
		require.Equal(t, value("received_total"), value("duplicates_total")+value("accepted_total"))
		require.Equal(t, value("accepted_total"),
			value("filtered_total")+value("delivered_total")+value("dead")+value("purged_total")+value("pending"))
	}
}
