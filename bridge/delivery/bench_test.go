package delivery

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/currents/currentstest"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// nullTransport takes every POST at once.
type nullTransport struct{}

func (nullTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodGet {
		return canGzip().send(req)
	}
	_, err := io.Copy(io.Discard, req.Body)
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("ok"))}, err
}

// endlessQueue hands out the same ten records until enough events are settled.
type endlessQueue struct {
	Queue // nothing is parked

	records []*queue.Record
	left    atomic.Int64
	done    context.CancelFunc
}

func (q *endlessQueue) Claim(ctx context.Context, _ queue.Limit) ([]*queue.Record, error) {
	return q.records, ctx.Err()
}

func (q *endlessQueue) Settle(_ context.Context, s queue.Settlement) error {
	n := 0
	for _, span := range s.Delivered {
		n += span.Last - span.First + 1
	}
	if q.left.Add(-int64(n)) <= 0 {
		q.done()
	}
	return nil
}

func (q *endlessQueue) FetchReplay(ctx context.Context, _ queue.Limit) (queue.Replay, []*queue.Record, error) {
	<-ctx.Done()
	return queue.Replay{}, nil, ctx.Err()
}

func (q *endlessQueue) Release(...*queue.Record) {}

// BenchmarkDelivery measures delivery alone: batching, mapping and settling of
// events of 1 KB in batches of 100, with a queue and a RudderStack that cost
// nothing. ns/op and allocs/op are for one event.
func BenchmarkDelivery(b *testing.B) {
	for _, mode := range []string{Events, Webhook} {
		for _, compression := range []string{"off", "auto"} {
			b.Run(fmt.Sprintf("%s/gzip %s", mode, compression), func(b *testing.B) { benchmark(b, mode, compression) })
		}
	}
}

func benchmark(b *testing.B, mode string, compression string) {
	q := &endlessQueue{}
	_, events := currentstest.EmailOpens(1000)
	for i, raw := range events {
		if i%100 == 0 {
			q.records = append(q.records, &queue.Record{Seq: uint64(i/100 + 1), Origin: "0123456789abcdef-000001"})
		}
		record := q.records[i/100]
		record.Events = append(record.Events, queue.Event{Index: i % 100, Raw: raw})
	}
	c := config.DefaultConnector()
	c.RudderURL, c.WriteKey, c.Mode, c.Concurrency, c.Gzip = "http://rudder.test", "wk", mode, 1, compression
	sender, err := New(Config{Connector: c, Queue: q, Mapper: mapperFor(mode), Transport: nullTransport{}, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	q.done = cancel
	q.left.Store(int64(b.N))
	b.ReportAllocs()
	b.SetBytes(int64(len(events[0])))
	b.ResetTimer()
	require.NoError(b, sender.Run(ctx))
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
