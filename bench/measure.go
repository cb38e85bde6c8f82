package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
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
	defer src.client.CloseIdleConnections()
	if err := src.backlog(ctx, r, sink); err != nil {
		return result{}, err
	}
	res, err := throughput(ctx, b, src, sink, r)
	if err != nil {
		return result{}, err
	}
	if s.latencyFor > 0 {
		if res.p50, res.p99, err = src.latency(ctx, res.rate/2, s.latencyFor); err != nil {
			return result{}, err
		}
	}
	res.memory, err = b.peak()
	return res, err
}

// throughput sends the row's events as fast as they are taken and waits until
// all are delivered; a backlog stays pending.
func throughput(ctx context.Context, b *bridge, src *source, sink *sink, r row) (result, error) {
	if err := src.send(ctx, warmUp); err != nil {
		return result{}, err
	}
	before, err := b.cpu()
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	if err := src.send(ctx, r.events/r.batch); err != nil {
		return result{}, err
	}
	if r.pending == 0 {
		if err := sink.await(ctx, src.sent.Load()*int64(r.batch)); err != nil {
			return result{}, err
		}
	}
	took := time.Since(start)
	after, err := b.cpu()
	return result{cpu: (after - before) / time.Duration(r.events), rate: float64(r.events) / took.Seconds()}, err
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

// await returns when n messages have come.
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
	url    string
	client *http.Client
	body   []byte // one batch
	ids    []int  // where the last twelve digits of each id begin
	sent   atomic.Int64
}

const (
	idMark   = `-4a5c-4d0e-9a65-`
	smallest = 230 // bytes: an event with nothing but what it needs
)

// connections is how many requests are sent at once.
const connections = 16

func newSource(r row, url string) *source {
	s := &source{url: url, client: &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{MaxIdleConnsPerHost: connections},
	}}
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
	left := func() int { return size - (len(s.body) - start) - len(`}}`) }
	longest := max(64, left()/len(names))
	for field, name := range names {
		room := left() - len(name) - len(`,"":""`)
		if room < 0 && field > 0 {
			break
		}
		if field > 0 {
			s.body = append(s.body, ',')
		}
		s.body = fmt.Appendf(s.body, `"%s":"`, name)
		for n := min(longest, max(room, 1)); n > 0; n -= 9 {
			s.body = fmt.Appendf(s.body, "%08x ", rng.Uint32N(1<<20)*4099)
		}
		s.body = append(s.body, '"')
	}
	s.body = append(s.body, `}}`...)
}

// numbered is the batch with ids that no other batch has.
func (s *source) numbered(dst []byte, batch int64) []byte {
	dst = append(dst[:0], s.body...)
	for i, at := range s.ids {
		copy(dst[at:at+12], fmt.Sprintf("%012x", batch*int64(len(s.ids))+int64(i)))
	}
	return dst
}

// post sends one batch, with buf for its bytes.
func (s *source) post(ctx context.Context, buf []byte) ([]byte, error) {
	buf = s.numbered(buf, s.sent.Add(1))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(buf))
	if err != nil {
		return buf, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := s.client.Do(req)
	if err != nil {
		return buf, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if want := fmt.Sprintf(`"accepted":%d,"duplicates":0`, len(s.ids)); err == nil && !bytes.Contains(answer, []byte(want)) {
		err = fmt.Errorf("the bridge answered %d %s", res.StatusCode, answer)
	}
	return buf, err
}

// workers runs work on every connection until it has nothing to do.
func (s *source) workers(work func() error) error {
	errs := make([]error, connections)
	var all sync.WaitGroup
	for i := range connections {
		all.Go(func() { errs[i] = work() })
	}
	all.Wait()
	return errors.Join(errs...)
}

// send posts that many batches as fast as they are taken.
func (s *source) send(ctx context.Context, batches int) error {
	var left atomic.Int64
	left.Store(int64(batches))
	return s.workers(func() (err error) {
		for buf := []byte(nil); left.Add(-1) >= 0 && err == nil; {
			buf, err = s.post(ctx, buf)
		}
		return err
	})
}

// backlog leaves the row's events pending: the sink refuses from then on.
func (s *source) backlog(ctx context.Context, r row, k *sink) error {
	if r.pending == 0 {
		return nil
	}
	k.closed.Store(true)
	return s.send(ctx, r.pending/r.batch)
}

// latency posts at rate events a second and returns the median and the 99th
// percentile of the time from the instant at which a request was due.
func (s *source) latency(ctx context.Context, rate float64, length time.Duration) (p50, p99 time.Duration, err error) {
	every := time.Duration(float64(len(s.ids)) / rate * float64(time.Second))
	start := time.Now()
	var next atomic.Int64
	var mu sync.Mutex
	var all []time.Duration
	err = s.workers(func() error {
		var mine []time.Duration
		var buf []byte
		for {
			due := start.Add(time.Duration(next.Add(1)) * every)
			if due.Sub(start) > length {
				break
			}
			time.Sleep(time.Until(due))
			var err error
			if buf, err = s.post(ctx, buf); err != nil {
				return err
			}
			mine = append(mine, time.Since(due))
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, mine...)
		return nil
	})
	if err != nil || len(all) == 0 {
		return 0, 0, err
	}
	slices.Sort(all)
	return all[len(all)/2], all[len(all)*99/100], nil
}
