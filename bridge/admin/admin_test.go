package admin

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
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

func gather(t *testing.T, r prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	require.NoError(t, err)
	values := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			values[family.GetName()+labels(m)] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return values
}

func labels(m *dto.Metric) string {
	var text []string
	for _, l := range m.GetLabel() {
		text = append(text, l.GetValue())
	}
	return "{" + strings.Join(text, ",") + "}"
}

func TestMetrics(t *testing.T) {
	f := newFixture(t)
	f.usage = queue.Usage{Bytes: 12, Free: 34, Limit: 56, Full: true, Damaged: 2, Scrubbed: noon, Err: queue.ErrFailed, Away: errors.New("no server answers")}
	f.b.replay = queue.Replay{Number: 1}
	values := gather(t, f.cfg.Registry)
	for name, want := range map[string]float64{
		"bridge_events_received_total{a}": 100, "bridge_events_duplicates_total{a}": 10, "bridge_events_accepted_total{a}": 90,
		"bridge_events_filtered_total{a}": 5, "bridge_events_delivered_total{a}": 40, "bridge_events_dead{a}": 7,
		"bridge_events_purged_total{a}": 3, "bridge_events_pending{a}": 35, "bridge_events_replayed_total{a}": 2, "bridge_events_backfilled_total{a}": 4,
		"bridge_oldest_pending_age_seconds{a}": 90.5, "bridge_oldest_pending_age_seconds{b}": 0,
		"bridge_destination_state{a,ok}": 1, "bridge_destination_state{a,paused}": 0, "bridge_destination_state{a,backing-off}": 0,
		"bridge_destination_state{b,ok}": 0, "bridge_destination_state{b,paused}": 1,
		"bridge_store_bytes{}": 12, "bridge_store_free_bytes{}": 34, "bridge_store_limit_bytes{}": 56, "bridge_store_full{}": 1, "bridge_store_failed{}": 1, "bridge_store_away{}": 1, "bridge_store_damaged_records{}": 2,
		"bridge_store_scrubbed_timestamp_seconds{}": float64(noon.Unix()), "bridge_replay_active{a}": 0, "bridge_replay_active{b}": 1,
	} {
		got, there := values[name]
		require.True(t, there, name)
		require.Equal(t, want, got, name)
	}
	require.NotContains(t, values, "bridge_events_received_total{gone}")
	body := f.get(t, "/metrics")
	require.Contains(t, body, "bridge_events_received_total{connector=\"a\"} 100\n")
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
		v := gather(t, f.cfg.Registry)
		require.Equal(t, v["bridge_events_received_total{a}"], v["bridge_events_duplicates_total{a}"]+v["bridge_events_accepted_total{a}"])
		require.Equal(t, v["bridge_events_accepted_total{a}"], v["bridge_events_filtered_total{a}"]+v["bridge_events_delivered_total{a}"]+
			v["bridge_events_dead{a}"]+v["bridge_events_purged_total{a}"]+v["bridge_events_pending{a}"])
	}
}
