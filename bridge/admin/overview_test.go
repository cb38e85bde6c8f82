package admin

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func TestOverview(t *testing.T) {
	f := newFixture(t)
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
	f := newFixture(t)
	var n, pending uint64
	f.a.ledger = func() queue.Ledger { return queue.Ledger{Accepted: 10*n + pending, Delivered: 10 * n} }
	ack := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: ackHistogram, Buckets: []float64{0.1, 0.2, 0.4}}, []string{"connector"})
	require.NoError(t, f.cfg.Registry.Register(ack))
	now := noon
	f.cfg.Now = func() time.Time { return now }
	for range 100 {
		ack.WithLabelValues("a").Observe(3)
	}
	f.sample()
	require.Empty(t, answer[Samples](t, f, "/api/samples").Connectors[0].Samples, "there is nothing to compare with")

	n, pending, now = 20, 50, now.Add(sampleEvery)
	for i := range 100 {
		ack.WithLabelValues("a").Observe(0.101 + float64(i%2)/10) // halves in (0.1,0.2] and (0.2,0.4]
	}
	f.sample()
	all := answer[Samples](t, f, "/api/samples?connector=a")
	require.Equal(t, 10.0, all.Every)
	got := all.Connectors[0].Samples[0]
	require.Equal(t, now.Unix(), got.At)
	require.Equal(t, []any{25.0, 20.0, uint64(50)}, []any{got.In, got.Out, got.Pending})
	require.InDelta(t, 0.2, got.Ack.P50, 1e-9, "what was before does not count")
	require.InDelta(t, 0.396, got.Ack.P99, 1e-9)
	require.Nil(t, got.Delivery)

	now = now.Add(sampleEvery) // nothing moves
	f.sample()
	o := answer[Overview](t, f, "/api/overview").Connectors
	require.Nil(t, o[0].LagSeconds, "delivery stands still")
	require.NotNil(t, o[0].Latest.Ack, "the newest that there is")
	require.Equal(t, 0.0, *o[1].LagSeconds)
	n, now = n+10, now.Add(sampleEvery)
	f.sample()
	require.Equal(t, 5.0, *answer[Overview](t, f, "/api/overview").Connectors[0].LagSeconds)

	for range maxSamples + 5 {
		now = now.Add(sampleEvery)
		f.sample()
	}
	kept := f.samples.of("a")
	require.Len(t, kept, maxSamples)
	require.Equal(t, now.Unix(), kept[len(kept)-1].At)
	f.Show((*f.connectors.Load())[1:])
	f.sample()
	require.Empty(t, f.samples.of("a"), "of what is gone nothing is kept")
}

func TestConfigWithoutSecrets(t *testing.T) {
	f := newFixture(t)
	c := config.DefaultConnector()
	c.Tokens, c.WriteKey, c.Salt = []string{"t0ken"}, "wr1tekey", "s4lt"
	f.about = About{Settings: config.Config{AdminToken: "adm1n"}.Shown(), Connectors: []ConnectorSettings{{c.Name, c.Shown()}}}
	body := f.get(t, "/api/config")
	for _, secret := range []string{"t0ken", "wr1tekey", "s4lt", "adm1n"} {
		require.NotContains(t, body, secret)
	}
	require.Contains(t, body, fmt.Sprintf(`{"key":%q,"value":"1 set"}`, "token"))
}
