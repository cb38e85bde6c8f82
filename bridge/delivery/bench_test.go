package delivery

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// nullTransport takes every POST at once and reads it as a connection would.
type nullTransport struct{ bytes atomic.Int64 }

func (n *nullTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	var chunk [64 << 10]byte
	for {
		read, err := req.Body.Read(chunk[:])
		n.bytes.Add(int64(read))
		if err == io.EOF {
			break
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("ok"))}, nil
}

// endlessQueue hands out the same ten records until enough events are settled.
type endlessQueue struct {
	records []*queue.Record
	left    atomic.Int64
	done    context.CancelFunc
}

func (q *endlessQueue) Fetch(ctx context.Context, _ queue.Limit) ([]*queue.Record, error) {
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

func (q *endlessQueue) Release(...*queue.Record) {}

// BenchmarkDelivery measures delivery alone: batching, mapping and settling of
// events of 1 KB in batches of 100, with a queue and a RudderStack that cost
// nothing. ns/op and allocs/op are for one event.
func BenchmarkDelivery(b *testing.B) {
	for _, mode := range []Mode{Events, Webhook} {
		b.Run(string(mode), func(b *testing.B) { benchmark(b, mode) })
	}
}

func benchmark(b *testing.B, mode Mode) {
	q := &endlessQueue{}
	for r := range 10 {
		record := &queue.Record{Seq: uint64(r + 1), Origin: "0123456789abcdef-000001"}
		for i := range 100 {
			record.Events = append(record.Events, queue.Event{Index: i, Raw: kilobyte(i)})
		}
		q.records = append(q.records, record)
	}
	sink := &nullTransport{}
	mapper, err := mapping.New(mapping.Options{Webhook: mode == Webhook})
	require.NoError(b, err)
	sender, err := New(Config{
		Queue: q, Mapper: mapper, Transport: sink, Mode: mode,
		URL: "http://rudder.test", WriteKey: "wk", Concurrency: 1,
	})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	q.done = cancel
	q.left.Store(int64(b.N))
	b.ReportAllocs()
	b.SetBytes(int64(len(kilobyte(0))))
	b.ResetTimer()
	require.NoError(b, sender.Run(ctx))
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// kilobyte is an event of about 1 KB, as an email click has.
func kilobyte(i int) []byte {
	return fmt.Appendf(nil, `{"id":"a1b2c3d4-0000-4000-8000-%012d","event_type":"users.messages.email.Click","time":17000000%02d,`+
		`"user":{"user_id":"62f1a0b2c3d4e5f6a7b8c9d0","external_user_id":"customer-%06d","timezone":"Europe/Berlin"},`+
		`"properties":{"campaign_id":"0e7d4f2a-1111-4222-8333-444455556666","campaign_name":"Autumn news","dispatch_id":"d%031d",`+
		`"message_variation_id":"7c9e6679-7425-40de-944b-e07fc1f90ae7","message_variation_name":"Variant 1","url":"https://shop.example/%s",`+
		`"link_id":"l1","link_alias":"hero","is_amp":false,"email_address":"customer%d@example.com","user_agent":"Mozilla/5.0 (X11; Linux x86_64)",`+
		`"sending_ip":"203.0.113.7","ip_pool":"main","esp":"sendgrid","from_domain":"news.example","note":"%s"}}`,
		i, i%100, i, i, strings.Repeat("p", 120), i, strings.Repeat("n", 120))
}
