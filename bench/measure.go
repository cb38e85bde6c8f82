package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/load"
)

// warmUp is how many requests come before the measurement, so that connections,
// buffers and caches are as in the long run.
const warmUp = 50

// measure runs one row with a bridge and a store of its own.
func measure(ctx context.Context, s settings, r row) (result, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	sink := newSink()
	defer sink.server.Close()
	b, err := startBridge(ctx, s, filepath.Join(dir, "data"), sink.server.URL)
	if err != nil {
		return result{}, err
	}
	defer func() { _ = b.Stop(ctx) }()
	src := newSource(r, b.Intake+"/currents")
	if err := src.backlog(ctx, r, sink); err != nil {
		return result{}, err
	}
	res, err := throughput(ctx, b, src, sink, r)
	if err != nil {
		return result{}, err
	}
	if s.latencyFor > 0 {
		report, err := src.send(ctx, load.Constant(res.rate/2), 0, s.latencyFor)
		if err != nil {
			return result{}, err
		}
		res.latency = report.Latency.Intended
	}
	_, res.memory, err = b.used()
	return res, err
}

// throughput sends the row's events as fast as they are taken and waits until
// all are delivered; a backlog stays pending.
func throughput(ctx context.Context, b *bridge, src *source, sink *sink, r row) (result, error) {
	if _, err := src.send(ctx, load.Max(), warmUp, 0); err != nil {
		return result{}, err
	}
	before, _, err := b.used()
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	if _, err := src.send(ctx, load.Max(), r.events/r.batch, 0); err != nil {
		return result{}, err
	}
	if r.pending == 0 {
		if err := sink.await(ctx, src.sent.Load()*int64(r.batch)); err != nil {
			return result{}, err
		}
	}
	took := time.Since(start)
	after, _, err := b.used()
	return result{cpu: (after - before) / float64(r.events), rate: float64(r.events) / took.Seconds()}, err
}

// sink accepts everything, or nothing while it is closed, and counts messages.
type sink struct {
	server   *httptest.Server
	messages atomic.Int64
	closed   atomic.Bool
}

func newSink() *sink {
	k := &sink{}
	k.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if k.closed.Load() || err != nil {
			http.Error(w, "closed", http.StatusServiceUnavailable)
			return
		}
		// Every event of a batch has its id once, as messageId or id.
		k.messages.Add(int64(bytes.Count(body, []byte(idMark))))
		_, _ = io.WriteString(w, "ok")
	}))
	return k
}

// await returns when n messages have arrived.
func (k *sink) await(ctx context.Context, n int64) error {
	const timeout = 2 * time.Minute
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for k.messages.Load() < n {
		select {
		case <-ctx.Done():
			return fmt.Errorf("only %d of %d events were delivered: %w", k.messages.Load(), n, context.Cause(ctx))
		case <-tick.C:
		}
	}
	return nil
}

// source sends batches of events that all have ids of their own.
type source struct {
	url  string
	body []byte // one batch
	ids  []int  // where the last twelve digits of each id begin
	sent atomic.Int64
}

const (
	idMark   = `-4a5c-4d0e-9a65-`
	smallest = 230 // bytes: an event with nothing but what it needs
)

// connections is how many requests are sent at once.
const connections = 16

func newSource(r row, url string) *source {
	s := &source{url: url}
	rng := rand.New(rand.NewPCG(1, 2))
	s.body = append(s.body, `{"events":[`...)
	for i := range r.batch {
		if i > 0 {
			s.body = append(s.body, ',')
		}
		s.appendEvent(rng, i, r.size)
	}
	s.body = append(s.body, `]}`...)
	return s
}

// appendEvent adds an event of about size bytes, with fields that the glossary
// has. What fills it is text of words, less compressible than real events are.
func (s *source) appendEvent(rng *rand.Rand, i, size int) {
	start := len(s.body)
	s.body = append(s.body, `{"event_type":"users.messages.email.Open","id":"0b4fe5e2`+idMark...)
	s.ids = append(s.ids, len(s.body))
	s.body = fmt.Appendf(s.body, `%012x","time":%d,"user":{"user_id":"64f0c3a1b2d4e5f6a7%06x","external_user_id":"customer-%d"},"properties":{`, i, 1760000000+i, i, i)
	names := [...]string{ // some of those that the glossary has for the event type
		"campaign_id", "campaign_name", "dispatch_id", "send_id", "message_variation_id", "message_variation_name",
		"user_agent", "from_domain", "ip_pool", "mailbox_provider", "esp", "device_model",
	}
	fields := names[:max(1, min(len(names), (size-smallest)/64))]
	for n, name := range fields {
		if n > 0 {
			s.body = append(s.body, ',')
		}
		s.body = fmt.Appendf(s.body, `"%s":"`, name)
		left := size - (len(s.body) - start) - len(`"}}`)
		for room := max(1, left/(len(fields)-n)-len(`"",`)-len(name)); room > 0; room -= 9 {
			s.body = fmt.Appendf(s.body, "%08x ", rng.Uint32N(1<<20)*4099)
		}
		s.body = append(s.body, '"')
	}
	s.body = append(s.body, `}}`...)
}

// next is the batch with ids that no other batch has.
func (s *source) next() []byte {
	batch := s.sent.Add(1)
	body := slices.Clone(s.body)
	for i, at := range s.ids {
		copy(body[at:at+12], fmt.Sprintf("%012x", batch*int64(len(s.ids))+int64(i)))
	}
	return body
}

// send posts batches at a pace, so many or for so long; one of these is 0.
func (s *source) send(ctx context.Context, pace load.Pace, batches int, length time.Duration) (*load.Report, error) {
	run, err := load.New(load.Config{
		URL: s.url, Token: token, Pace: pace, Events: uint64(batches * len(s.ids)), Duration: length,
		Batch: len(s.ids), Connections: connections, Timeout: time.Minute, Body: s.next,
	})
	if err != nil {
		return nil, err
	}
	report, err := run.Do(ctx)
	if err != nil {
		return nil, err
	}
	if report.Interrupted {
		return nil, ctx.Err()
	}
	if report.Events.Acked != report.Events.Sent {
		return nil, fmt.Errorf("the bridge did not take all events: %v %v", report.Refused, report.Failures)
	}
	return report, nil
}

// backlog leaves the row's events pending: the sink refuses from then on.
func (s *source) backlog(ctx context.Context, r row, k *sink) error {
	if r.pending < r.batch {
		return nil
	}
	k.closed.Store(true)
	_, err := s.send(ctx, load.Max(), r.pending/r.batch, 0)
	return err
}
