package delivery

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// rudder is a RudderStack in memory: it answers each POST as its rule says and
// remembers the requests.
type rudder struct {
	mu    sync.Mutex
	rule  func(post posted) reply // nil: 200 ok
	posts []posted

	inFlight, most load // now, and at most ever

	version reply           // to GET /version
	asked   []*http.Request // these
}

// posted is a POST as it came.
type posted struct {
	n          int // from 0
	at         time.Time
	ids        []string // see idsOf
	bytes      int
	header     http.Header
	url        string
	body       []byte // uncompressed
	compressed bool
	reply      reply
	probe      bool // a batch of no events
}

// reply is what comes back. The zero reply is 200 ok.
type reply struct {
	status int
	body   string
	header http.Header
	after  time.Duration
	err    error // no answer at all
	hang   bool  // never answers
}

// replyOf reads a reply of a row: a status and a body, "hangs", or an error and its
// text. The status may come slowly, or with a Retry-After.
func replyOf(t *testing.T, text string) (a reply) {
	kind, rest, _ := strings.Cut(text, " ")
	switch kind {
	case "hangs":
		return reply{hang: true}
	case "error":
		return reply{err: errors.New(rest)}
	case "slow":
		a.after = 20 * time.Second
	case "retry":
		a.header = http.Header{"Retry-After": {"20"}}
	default:
		rest = text
	}
	status, body, _ := strings.Cut(rest, " ")
	var err error
	a.status, err = strconv.Atoi(status)
	require.NoError(t, err)
	a.body = body
	return a
}

// isRefusal reports whether the reply takes nothing.
func (a reply) isRefusal() bool {
	return a.err != nil || a.hang || a.status != 0
}

func (r *rudder) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodGet {
		r.mu.Lock()
		r.asked = append(r.asked, req)
		answer := r.version
		r.mu.Unlock()
		return answer.send(req)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	p := posted{at: time.Now(), bytes: len(body), header: req.Header, url: req.URL.String()}
	if p.compressed = req.Header.Get("Content-Encoding") == "gzip"; p.compressed {
		uncompressed, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		if body, err = io.ReadAll(uncompressed); err != nil {
			return nil, err
		}
	}
	p.body, p.ids, p.probe = body, idsOf(body), bytes.HasSuffix(body, []byte(`[]}`))
	r.mu.Lock()
	p.n = len(r.posts)
	if r.rule != nil {
		p.reply = r.rule(p)
	}
	r.posts = append(r.posts, p)
	r.mu.Unlock()
	r.load(1, len(p.ids))
	defer r.load(-1, -len(p.ids))
	return p.reply.send(req)
}

func (a reply) send(req *http.Request) (*http.Response, error) {
	if a.hang {
		a.after = math.MaxInt64
	}
	if a.after > 0 {
		select {
		case <-time.After(a.after):
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	if a.err != nil {
		return nil, a.err
	}
	if a.status == 0 {
		a.status, a.body = http.StatusOK, "ok"
	}
	return &http.Response{
		StatusCode: a.status, Header: a.header, Request: req,
		Body: io.NopCloser(strings.NewReader(a.body)),
	}, nil
}

// set has POSTs answered by a rule. It is called for one POST at a time.
func (r *rudder) set(rule func(posted) reply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rule = rule
}

// questions returns the requests for /version that came.
func (r *rudder) questions() []*http.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}

func (r *rudder) all() []posted {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.posts)
}

// taken counts how often each event was taken.
func (r *rudder) taken() map[string]int {
	times := map[string]int{}
	for _, p := range r.all() {
		if !p.reply.isRefusal() {
			for _, id := range p.ids {
				times[id]++
			}
		}
	}
	return times
}

// repeats is how many events were taken more than once, each time counted.
func repeats(times map[string]int) int {
	n := 0
	for _, t := range times {
		n += t - 1
	}
	return n
}

// always answers every POST alike.
func always(a reply) func(posted) reply { return func(posted) reply { return a } }

// answers gives the first POSTs these replies and every later one 200.
func answers(list ...reply) func(posted) reply {
	return func(p posted) reply {
		if p.n < len(list) {
			return list[p.n]
		}
		return reply{}
	}
}

// idsOf returns the messageId of each message, or the id of each event that
// begins with it.
func idsOf(body []byte) (ids []string) {
	key := `"messageId"`
	if bytes.HasPrefix(body, []byte(`{"events":`)) {
		key = `\{"id"`
	}
	for _, found := range regexp.MustCompile(key+`:"([^"]*)`).FindAllSubmatch(body, -1) {
		ids = append(ids, string(found[1]))
	}
	return ids
}

// mapperFor is the mapper of a connector without rules.
func mapperFor(mode string) *mapping.Mapper {
	mapper, err := mapping.New(mapping.Options{Webhook: mode == Webhook})
	if err != nil {
		panic(err)
	}
	return mapper
}

// testBench is one sender between a queue and a RudderStack.
type testBench struct {
	*Sender
	queue *memQueue
	log   *bytes.Buffer // read it while no request is in flight
	stop  context.CancelFunc
	ended chan error // of Run; closed after it
}

// bubble runs a test of that name in fake time; without a name it is not one of
// several.
func bubble(t *testing.T, name string, test func(*testing.T, *rudder, *memQueue)) {
	run := func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, &rudder{}, newMemQueue()) })
	}
	if name == "" {
		run(t)
	} else {
		t.Run(name, run)
	}
}

// constant is a source of random numbers that are all alike.
type constant uint64

func (c constant) Uint64() uint64 { return uint64(c) }

// start runs a sender until finish, or until the test ends. Call it inside a synctest bubble.
func start(t *testing.T, q *memQueue, r *rudder, change func(*Config)) *testBench {
	b := &testBench{queue: q, log: &bytes.Buffer{}}
	c := Config{
		Connector: config.DefaultConnector(), Queue: q, Transport: r, Grace: 10 * time.Second,
		Random: rand.New(rand.NewPCG(1, 2)),
		Logger: slog.New(slog.NewTextHandler(io.MultiWriter(t.Output(), b.log), nil)),
	}
	c.RudderURL, c.WriteKey = "http://rudder.test", "wk-secret"
	if change != nil {
		change(&c)
	}
	if c.Mapper == nil {
		c.Mapper = mapperFor(c.Mode)
	}
	sender, err := New(c)
	require.NoError(t, err)
	b.Sender = sender
	ctx, stop := context.WithCancel(t.Context())
	b.stop, b.ended = stop, make(chan error, 1)
	go func() { b.ended <- b.Run(ctx); close(b.ended) }()
	t.Cleanup(func() {
		if !t.Failed() {
			b.finish(t)
		}
	})
	return b
}

// finish ends the sender, checks that it kept to the queue's contract, and returns
// how long it took.
func (b *testBench) finish(t *testing.T) (took time.Duration) {
	stopped := time.Now()
	b.stop()
	require.NoError(t, <-b.ended)
	took = time.Since(stopped)
	require.Empty(t, b.queue.broken)
	for _, r := range b.queue.records {
		require.False(t, r.held, "record %d was released", r.Seq)
	}
	require.Equal(t, load{}, b.inFlight(), "every POST that began has ended")
	require.Zero(t, metric(b.config.Metrics.compressing).GetGauge().GetValue(), "the next Sender may not compress")
	return took
}

// settledWithin waits until nothing is pending; time is the bubble's.
func (b *testBench) settledWithin(t *testing.T, d time.Duration) {
	b.within(t, d, func() bool { return b.queue.countLocked(queue.Pending) == 0 })
}

// deliver puts a record and waits until nothing is pending.
func (b *testBench) deliver(t *testing.T, within time.Duration, events ...string) {
	b.queue.put(events...)
	b.settledWithin(t, within)
}

// replay replays history and waits until that has ended.
func (b *testBench) replay(t *testing.T, order queue.ReplayOrder, within time.Duration) queue.Replay {
	b.queue.order(order)
	return b.replayedWithin(t, within)
}

// replayedWithin waits until the replay has ended.
func (b *testBench) replayedWithin(t *testing.T, d time.Duration) queue.Replay {
	b.within(t, d, func() bool { return !b.queue.replay.Active() })
	return b.queue.replayed()
}

// trickle puts n events, each in a record of its own, one every so often, while
// something else is watched.
func (b *testBench) trickle(n int, every time.Duration) {
	for i := range n {
		b.queue.put(events(fmt.Sprint("late", i), 1)...)
		time.Sleep(every)
	}
	synctest.Wait()
}

// pass lets time go by, and then waits until nothing runs any more.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (b *testBench) within(t *testing.T, d time.Duration, done func() bool) {
	ctx, stop := context.WithTimeout(t.Context(), d)
	defer stop()
	err := b.queue.await(ctx, done)
	require.NoError(t, err, "%d events are pending, replay %+v", b.queue.count(queue.Pending), b.queue.replayed())
	synctest.Wait()
}

type load struct{ requests, events int }

func (r *rudder) load(requests, events int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inFlight = load{r.inFlight.requests + requests, r.inFlight.events + events}
	r.most = load{max(r.most.requests, r.inFlight.requests), max(r.most.events, r.inFlight.events)}
}

// inFlight is what the metrics say of it.
func (b *testBench) inFlight() load {
	m := b.config.Metrics
	return load{int(metric(m.inFlightRequests).GetGauge().GetValue()), int(metric(m.inFlightEvents).GetGauge().GetValue())}
}

func metric(m prometheus.Metric) *dto.Metric {
	var is dto.Metric
	_ = m.Write(&is) // fails for none of these
	return &is
}

// with answers a request that holds one of the events with a.
func with(a reply, ids ...string) func(posted) reply {
	return func(p posted) reply {
		switch {
		case p.probe:
			return empty(p)
		case slices.ContainsFunc(p.ids, func(id string) bool { return slices.Contains(ids, id) }):
			return a
		}
		return reply{}
	}
}

// empty is RudderStack's answer to a batch of no events.
func empty(p posted) reply {
	mode := Events
	if strings.Contains(p.url, "webhook") {
		mode = Webhook
	}
	return reply{status: 400, body: EmptyBatch(mode) + "\n"}
}

// events makes n events with the ids prefix-0, prefix-1, …
func events(prefix string, n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"id":"%s-%d","event_type":"t","user":{"user_id":"u"}}`, prefix, i))
	}
	return list
}
