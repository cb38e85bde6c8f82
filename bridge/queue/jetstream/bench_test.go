package jetstream

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/natstest"
)

// Batches of 100 events of 1 KB that compress about as Braze's do.
const benchEvents, benchPad = 100, 256

func benchBatch(n int64) queue.Batch {
	b := queue.Batch{Body: []byte(`{"events":[`)}
	for i := range benchEvents {
		start := len(b.Body)
		id := fmt.Sprintf("%d-%d", n, i)
		b.Body = fmt.Appendf(b.Body, `{"id":%q,"event_type":"users.messages.email.Open","user":{"user_id":"%s"},"properties":{%s}}`,
			id, noise(id, benchPad/2), benchProperties)
		b.Items = append(b.Items, queue.Item{Start: start, End: len(b.Body), ID: queue.HashID([]byte(id))})
	}
	return b
}

const benchProperties = `"campaign_id":"11ae5b4b-2445-4440-a04f-bf537764c9ad","campaign_name":"Welcome, newcomers of the summer","message_variation_id":"a3b1f3b4-2445-4440-a04f-bf537764c9ad","send_id":"f123375892fe15","dispatch_id":"acf471119f7449d579e8089032003ded","app_id":"01234567-89ab-cdef-0123-456789abcdef","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0 Safari/537.36","ip_pool":"main","device_model":"Pixel 9","machine_open":false,"sending_ip":"203.0.113.7","esp":"sendgrid","from_domain":"news.example.com","canvas_id":"0b4f3e0c-1d2a-4e7b-8c9d-112233445566","canvas_name":"Onboarding in five steps","canvas_step_id":"77b4f3e0c-1d2a-4e7b-8c9d-112233445566","canvas_step_name":"Second reminder","subject":"Your first order is on its way"`

// cpu is what this process, the server in it included, has used.
func cpu(b *testing.B) int64 {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return u.Utime.Nano() + u.Stime.Nano()
}

func bench(b *testing.B, run func(q *connQueue, n int64)) {
	srv := natstest.Start(b)
	opts := calm(b, srv)
	opts.RetainAge = 0
	_, q := bridge(b, opts)
	batches := make([]queue.Batch, 64) // made before, with ids that are made new each time
	for i := range batches {
		batches[i] = benchBatch(int64(i))
	}
	var n atomic.Int64
	b.SetParallelism(8)
	b.ResetTimer()
	before := cpu(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			batch := batches[i%int64(len(batches))]
			batch.Items = append([]queue.Item(nil), batch.Items...)
			for j := range batch.Items {
				x := uint64(i*benchEvents+int64(j)) * 0x9e3779b97f4a7c15 // spread over all bits, as a hash is
				batch.Items[j].ID = queue.Hash{x ^ x>>32, x}
			}
			last := &batch.Items[benchEvents-1]
			batch.Body = fmt.Appendf(append([]byte(nil), batch.Body[:last.End-1]...), ",%d}", i) // no content comes twice
			last.End = len(batch.Body)
			batch.Body = append(batch.Body, "]}"...)
			got, err := q.Append(b.Context(), batch)
			if err != nil || got.Accepted+got.Duplicates != benchEvents {
				b.Error(got, err)
				return
			}
			run(q, i)
		}
	})
	events := float64(b.N) * benchEvents
	b.ReportMetric(float64(cpu(b)-before)/events, "cpu-ns/event")
	b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(len(batches[0].Body))/benchEvents, "B/event")
}

func BenchmarkAppend(b *testing.B) { bench(b, func(*connQueue, int64) {}) }

func BenchmarkAppendFetchSettle(b *testing.B) {
	bench(b, func(q *connQueue, _ int64) {
		records, err := q.Fetch(b.Context(), queue.Limit{Events: benchEvents, Bytes: 1 << 30})
		if err != nil {
			b.Error(err)
			return
		}
		var s queue.Settlement
		for _, r := range records {
			s.Delivered = append(s.Delivered, queue.Span{Seq: r.Seq, First: 0, Last: len(r.Events) - 1})
		}
		if err := q.Settle(b.Context(), s); err != nil {
			b.Error(err)
		}
		q.Release(records...)
	})
}
