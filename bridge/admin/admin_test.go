package admin

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

func TestStatus(t *testing.T) {
	f := newFixture()
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
			f := newFixture()
			f.usage = tt.usage
			body := f.call(t, tt.status, "GET /readyz", "")
			require.True(t, strings.HasPrefix(body, tt.body), body)
			f.get(t, "/livez")
		})
	}
}

func TestMetrics(t *testing.T) {
	f := newFixture()
	f.usage = queue.Usage{Bytes: 12, Free: 34, Limit: 56, Full: true, Damaged: 2, Scrubbed: noon, Err: queue.ErrFailed, Away: errors.New("no server answers")}
	f.b.replay = queue.Replay{Number: 1}
	f.about = About{Version: "v1", Glossary: "g1"}
	require.Equal(t, casefile.Text(t, "testdata/metrics.txt"), f.get(t, "/metrics"))
}

// TestMetricsOfOneScrapeBelongTogether has a ledger that moves each time it is
// read: were it read twice for one scrape, the sums would not hold.
func TestMetricsOfOneScrapeBelongTogether(t *testing.T) {
	f := newFixture()
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

func TestOverview(t *testing.T) {
	f := newFixture()
	f.usage = queue.Usage{Bytes: 12, Free: 34, Damaged: 2, Scrubbed: noon, Full: true}
	f.drift = []drift.Item{{EventType: "x"}}
	f.states["a"] = delivery.State{Name: delivery.StatePaused, LastError: "401 no", Since: noon.Add(-time.Hour), NextTry: noon.Add(time.Second)}
	f.a.replay = queue.Replay{Number: 3, Position: noon, Replayed: 5}
	f.about, f.oldest = About{Version: "v1", Glossary: "g1"}, noon.Add(-3*time.Hour)
	o := answer[Overview](t, f, "/api/overview")
	require.False(t, o.Ready)
	require.Equal(t, queue.ErrFull.Error(), o.Reason)
	require.Equal(t, StoreOverview{Bytes: 12, Free: 34, Full: true, Damaged: 2, ScrubbedAt: noon, OldestHistory: noon.Add(-3 * time.Hour)}, o.Store)
	require.Equal(t, []any{"v1", "g1", 1}, []any{o.Version, o.Glossary, o.Drift})
	require.Len(t, o.Connectors, 2)
	a := o.Connectors[0]
	require.Equal(t, "a", a.Name)
	require.Equal(t, uint64(35), a.Pending)
	require.Equal(t, Destination{delivery.StatePaused, "401 no"}, a.Destination)
	require.Equal(t, noon.Add(-time.Hour), a.Since)
	require.Equal(t, noon.Add(time.Second), a.NextTry)
	require.True(t, a.Configured)
	require.Nil(t, a.Latest)
	require.Equal(t, noon, a.Replay.Position)
	require.Equal(t, uint64(5), a.Replay.Replayed)
}

func TestSamples(t *testing.T) {
	f := newFixture()
	var n, pending uint64
	f.a.ledger = func() queue.Ledger { return queue.Ledger{Accepted: 10*n + pending, Delivered: 10 * n} }
	ack := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: ackHistogram, Buckets: []float64{0.1, 0.2, 0.4}}, []string{"connector"})
	require.NoError(t, f.cfg.Registry.Register(ack))
	now := noon
	f.cfg.Now = func() time.Time { return now }
	for range 100 {
		ack.WithLabelValues("a").Observe(3)
	}
	f.samples.take(f.Admin)
	require.Empty(t, answer[Samples](t, f, "/api/samples").Connectors[0].Samples, "there is nothing to compare with")

	n, pending, now = 20, 50, now.Add(sampleEvery)
	for i := range 100 {
		ack.WithLabelValues("a").Observe(0.101 + float64(i%2)/10) // halves in (0.1,0.2] and (0.2,0.4]
	}
	f.samples.take(f.Admin)
	all := answer[Samples](t, f, "/api/samples?connector=a")
	require.Equal(t, 10.0, all.Every)
	got := all.Connectors[0].Samples[0]
	require.Equal(t, now.Unix(), got.At)
	require.Equal(t, []any{25.0, 20.0, uint64(50)}, []any{got.In, got.Out, got.Pending})
	require.InDelta(t, 0.2, got.Ack.P50, 1e-9, "what was before does not count")
	require.InDelta(t, 0.396, got.Ack.P99, 1e-9)
	require.Nil(t, got.Delivery)

	now = now.Add(sampleEvery) // nothing moves
	f.samples.take(f.Admin)
	o := answer[Overview](t, f, "/api/overview").Connectors
	require.Nil(t, o[0].LagSeconds, "delivery stands still")
	require.NotNil(t, o[0].Latest.Ack, "the newest that there is")
	require.Equal(t, 0.0, *o[1].LagSeconds)
	n, now = n+10, now.Add(sampleEvery)
	f.samples.take(f.Admin)
	require.Equal(t, 5.0, *answer[Overview](t, f, "/api/overview").Connectors[0].LagSeconds)

	for range maxSamples + 5 {
		now = now.Add(sampleEvery)
		f.samples.take(f.Admin)
	}
	kept := f.samples.of("a")
	require.Len(t, kept, maxSamples)
	require.Equal(t, now.Unix(), kept[len(kept)-1].At)
	f.Show((*f.connectors.Load())[1:])
	f.samples.take(f.Admin)
	require.Empty(t, f.samples.of("a"), "of what is gone nothing is kept")
}

func TestConfigWithoutSecrets(t *testing.T) {
	f := newFixture()
	c := config.DefaultConnector()
	c.Tokens, c.WriteKey, c.Salt = []string{"t0ken"}, "wr1tekey", "s4lt"
	f.about = About{Settings: config.Config{AdminToken: "adm1n"}.Shown(), Connectors: []ConnectorSettings{{c.Name, c.Shown()}}}
	body := f.get(t, "/api/config")
	for _, secret := range []string{"t0ken", "wr1tekey", "s4lt", "adm1n"} {
		require.NotContains(t, body, secret)
	}
	require.Contains(t, body, fmt.Sprintf(`{"key":%q,"value":"1 set"}`, "token"))
}
