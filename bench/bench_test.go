// Package bench measures what an event costs the bridge on its whole way: the real
// program takes batches over HTTP, stores them on disk, maps the events and posts them
// to a server that accepts everything and does nothing.
//
//	go test ./bench -run '^$' -bench .
//	go test ./bench -run '^$' -bench 'Bridge/batch=100/size=300$' -pending 1000000 -events 200000
//
// CPU an event is that of the bridge's process alone, user and system, from the
// first request until everything is delivered. Latency is measured in a second
// pass at half of the rate that the first one reached, from the instant at which
// a request was due to its response. It needs Linux, for /proc.
package bench

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/bridgeproc"
	"github.com/currentsbridge/currentsbridge/internal/gobuild"
	"github.com/currentsbridge/currentsbridge/internal/load"
)

var (
	mode    = flag.String("mode", "events", "mode of the connector: events or webhook")
	queue   = flag.String("queue", "sqlite", "queue: sqlite, or postgres://…")
	pending = flag.Int("pending", 0, "events that wait before the measurement; RudderStack is away then")
	events  = flag.Int("events", 0, "events to measure (default 200,000 of batches of 100, fewer where batches are small or events are large)")
)

// row is one combination to measure; events and pending are counts, size is
// bytes an event.
type row struct {
	mode, queue                  string
	batch, size, pending, events int
	latencyFor                   time.Duration
}

type result struct {
	cpu     float64        // seconds an event
	rate    float64        // events a second, as fast as it goes
	latency load.Latencies // from the instant that was due to the response, at half that rate
	memory  uint64         // bytes resident at the most
}

const (
	// warmUp is how many requests come before the measurement, so that connections,
	// buffers and caches are as in the long run.
	warmUp      = 50
	connections = 16 // requests at once
	token       = "bench"
	idMark      = `-4a5c-4d0e-9a65-`
	smallest    = 230 // bytes: an event with nothing but what it needs
)

func BenchmarkBridge(b *testing.B) {
	program := build(b)
	for _, batch := range []int{1, 10, 100} {
		for _, size := range []int{300, 1000, 4000, 64000} {
			b.Run(fmt.Sprintf("batch=%d/size=%d", batch, size), func(b *testing.B) {
				few := min(20_000*batch, 400<<20/size, 200_000) // some seconds
				for b.Loop() {
					res := measure(b, program, row{*mode, *queue, batch, size, *pending, cmp.Or(*events, few), 5 * time.Second})
					b.ReportMetric(res.cpu*1e6, "cpu-µs/event")
					b.ReportMetric(res.rate, "events/s")
					b.ReportMetric(res.latency.P50, "p50-ms")
					b.ReportMetric(res.latency.P99, "p99-ms")
					b.ReportMetric(float64(res.memory>>20), "MB")
				}
			})
		}
	}
}

// The benchmark in little.
func TestMeasure(t *testing.T) {
	program := build(t)
	for _, mode := range []string{"events", "webhook"} {
		for _, pending := range []int{0, 200} {
			res := measure(t, program, row{mode, "sqlite", 10, 1000, pending, 500, 100 * time.Millisecond})
			require.Positive(t, res.rate)
			require.Positive(t, res.latency.P99)
			require.Greater(t, res.memory, uint64(10<<20))
		}
	}
}

func TestEventsHaveTheirSizeAndAnIDOfTheirOwn(t *testing.T) {
	for _, size := range []int{smallest, 300, 1000, 4000, 64000} {
		s := newSource(row{batch: 10, size: size}, "http://127.0.0.1:1")
		require.InEpsilon(t, size, len(s.body)/10, 0.12)
		one, other := s.next(), s.next()
		require.Len(t, other, len(one))
		for _, at := range s.ids {
			require.NotEqual(t, string(one[at:at+12]), string(other[at:at+12]))
		}
		require.Equal(t, 10, bytes.Count(one, []byte(idMark)))
	}
}

func build(t testing.TB) (program string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("CPU of a process is read from /proc, which needs Linux")
	}
	program, err := gobuild.Program(t.TempDir(), "github.com/currentsbridge/currentsbridge/cmd/bridge")
	require.NoError(t, err)
	return program
}

func measure(t testing.TB, program string, r row) (res result) {
	sink := newSink(t)
	b, err := bridgeproc.Start(program, filepath.Join(t.TempDir(), "log"), nil, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
		"--data-dir", t.TempDir(), "--queue", r.queue, "--mode", r.mode,
		"--braze-token", token, "--rudder-url", sink.URL, "--write-key", "wk", "--log-level", "error")
	require.NoError(t, err)
	defer b.Kill()
	require.NoError(t, b.AwaitReady(t.Context()))
	src := newSource(r, b.Intake+"/currents")
	if r.pending >= r.batch { // the sink refuses from then on
		sink.closed.Store(true)
		src.send(t, load.Max(), r.pending/r.batch, 0)
	}

	src.send(t, load.Max(), warmUp, 0)
	before, _ := used(t, b)
	requests := max(r.events/r.batch, 1)
	start := time.Now()
	src.send(t, load.Max(), requests, 0)
	if r.pending == 0 {
		require.Eventually(t, func() bool { return sink.messages.Load() >= src.sent.Load()*int64(r.batch) }, 2*time.Minute, time.Millisecond)
	}
	took := time.Since(start)
	after, _ := used(t, b)
	sent := float64(requests * r.batch)
	res.cpu, res.rate = (after-before)/sent, sent/took.Seconds()

	res.latency = src.send(t, load.Constant(res.rate/2), 0, r.latencyFor).Latency.Intended
	_, res.memory = used(t, b)
	require.NoError(t, b.Stop(t.Context()))
	return res
}

// used is the CPU that the process has used so far, user and system, in seconds, and the
// most memory that was resident, in bytes.
func used(t testing.TB, b *bridgeproc.Process) (cpu float64, peak uint64) {
	proc, err := procfs.NewProc(b.Cmd.Process.Pid)
	require.NoError(t, err)
	stat, err := proc.Stat()
	require.NoError(t, err)
	status, err := proc.NewStatus()
	require.NoError(t, err)
	return stat.CPUTime(), status.VmHWM
}

// sink accepts everything, or nothing while it is closed, and counts messages.
type sink struct {
	*httptest.Server
	messages atomic.Int64
	closed   atomic.Bool
}

func newSink(t testing.TB) *sink {
	k := &sink{}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if k.closed.Load() || err != nil {
			http.Error(w, "closed", http.StatusServiceUnavailable)
			return
		}
		// Every event of a batch has its id once, as messageId or id.
		k.messages.Add(int64(bytes.Count(body, []byte(idMark))))
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(k.Close)
	return k
}

type source struct {
	url  string
	body []byte // one batch
	ids  []int  // where the last twelve digits of each id begin
	sent atomic.Int64
}

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

func (s *source) next() []byte {
	batch := s.sent.Add(1)
	body := slices.Clone(s.body)
	for i, at := range s.ids {
		copy(body[at:at+12], fmt.Sprintf("%012x", batch*int64(len(s.ids))+int64(i)))
	}
	return body
}

// send posts batches at a pace, so many or for so long; one of these is 0.
func (s *source) send(t testing.TB, pace load.Pace, batches int, length time.Duration) *load.Report {
	run, err := load.New(load.Config{
		URL: s.url, Token: token, Pace: pace, Events: uint64(batches * len(s.ids)), Duration: length,
		Batch: len(s.ids), Connections: connections, Timeout: time.Minute, Body: s.next,
	})
	require.NoError(t, err)
	report, err := run.Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, report.Events.Sent, report.Events.Acked, "%v %v", report.Refused, report.Failures)
	return report
}
