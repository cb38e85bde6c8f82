package delivery

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// nullTransport takes every POST at once and reads it as a connection would.
type nullTransport struct{ bytes atomic.Int64 }

func (n *nullTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodGet {
		return canGzip().send(req)
	}
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

func (q *endlessQueue) Release(...*queue.Record) {}

func (q *endlessQueue) Load(context.Context, uint64) (*queue.Record, error) {
	return nil, queue.ErrNotHeld
}

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
	for r := range 10 {
		record := &queue.Record{Seq: uint64(r + 1), Origin: "0123456789abcdef-000001"}
		for i := range 100 {
			record.Events = append(record.Events, queue.Event{Index: i, Raw: kilobyte(r*100 + i)})
		}
		q.records = append(q.records, record)
	}
	sink := &nullTransport{}
	mapper, err := mapping.New(mapping.Options{Webhook: mode == Webhook})
	require.NoError(b, err)
	c := config.DefaultConnector()
	c.RudderURL, c.WriteKey, c.Mode, c.Concurrency, c.Gzip = "http://rudder.test", "wk", mode, 1, compression
	sender, err := New(Config{Connector: c, Queue: q, Mapper: mapper, Transport: sink, Logger: slog.New(slog.DiscardHandler)})
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

// kilobyte is an event of about 1 KB, as an email click has. Ids are random as
// Braze's are, and a few campaigns are shared by all, so that it compresses as
// real events do.
func kilobyte(i int) []byte {
	own := rand.New(rand.NewPCG(uint64(i), 1))
	campaign := rand.New(rand.NewPCG(uint64(i%7), 2))
	hex := func(r *rand.Rand) string { return fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64()) }
	uuid := func(r *rand.Rand) string {
		h := hex(r)
		return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
	}
	return fmt.Appendf(nil, `{"id":%q,"event_type":"users.messages.email.Click","time":17000%05d,`+
		`"user":{"user_id":"%s","external_user_id":"customer-%06d","timezone":"Europe/Berlin"},`+
		`"properties":{"campaign_id":%q,"campaign_name":"Autumn news %d","dispatch_id":"%s",`+
		`"message_variation_id":%q,"message_variation_name":"Variant 1","url":"https://shop.example/%s/%d",`+
		`"link_id":"l%d","link_alias":"hero","is_amp":false,"email_address":"customer%d@example.com",`+
		`"user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36",`+
		`"sending_ip":"203.0.113.%d","ip_pool":"main","esp":"sendgrid","from_domain":"news.example","send_id":%q}}`,
		uuid(own), own.IntN(100000), hex(own)[:24], own.IntN(1000000),
		uuid(campaign), i%7, hex(own), uuid(campaign), uuid(campaign), own.IntN(90),
		own.IntN(9), own.IntN(1000000), 100+own.IntN(30), own.IntN(250), uuid(own))
}
