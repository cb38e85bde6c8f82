package bridge_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/currents/currentstest"
)

// batchEvents is what Braze puts into a request by default.
const batchEvents = 100

// process is a bridge as it runs in production: the real binary.
type process struct {
	tb     testing.TB
	cmd    *exec.Cmd
	intake string
	client *http.Client
}

// startProcess builds the bridge and runs it against the data plane at url.
func startProcess(tb testing.TB, url string) *process {
	tb.Helper()
	binary := filepath.Join(tb.TempDir(), "bridge")
	out, err := exec.Command("go", "build", "-o", binary, "github.com/currentsbridge/currentsbridge/cmd/bridge").CombinedOutput()
	require.NoError(tb, err, string(out))
	p := &process{tb: tb, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
	p.cmd = exec.Command(binary, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
		"--data-dir", filepath.Join(tb.TempDir(), "data"),
		"--braze-token", "bench", "--rudder-url", url, "--write-key", "wk", "--log-level", "error")
	p.cmd.Stderr = os.Stderr
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(tb, err)
	require.NoError(tb, p.cmd.Start())
	tb.Cleanup(p.stop)
	ready, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(tb, err)
	for _, word := range strings.Fields(ready) {
		if address, found := strings.CutPrefix(word, "listen="); found {
			p.intake = address
		}
	}
	require.NotEmpty(tb, p.intake, ready)
	return p
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
	p.client.CloseIdleConnections()
}

// cpu is what the process has used so far, user and system.
func (p *process) cpu() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	require.NoError(p.tb, err)
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const userField, systemField = 11, 12 // utime and stime of proc(5), after the name
	const tick = time.Second / 100        // USER_HZ
	var sum time.Duration
	for _, field := range []string{fields[userField], fields[systemField]} {
		ticks, err := strconv.ParseInt(field, 10, 64)
		require.NoError(p.tb, err)
		sum += time.Duration(ticks) * tick
	}
	return sum
}

// resident is the process's memory in megabytes.
func (p *process) resident() float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	require.NoError(p.tb, err)
	_, rest, found := strings.Cut(string(status), "VmRSS:")
	require.True(p.tb, found)
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(p.tb, err)
	return float64(kb) / 1024
}

// template makes batches whose event ids are all different.
type template struct {
	body []byte
	ids  []int // where the last twelve digits of each id begin
}

func newTemplate(tb testing.TB) template {
	tb.Helper()
	body, _ := currentstest.EmailOpens(batchEvents)
	var batch currents.Batch
	require.NoError(tb, batch.Scan(body))
	t := template{body: body}
	for i := range batch.Events {
		event := &batch.Events[i]
		at := bytes.Index(body[event.Start:event.End], event.ID)
		t.ids = append(t.ids, event.Start+at+len(event.ID)-1-12)
	}
	return t
}

func (t template) number(dst []byte, batch int64) []byte {
	dst = append(dst[:0], t.body...)
	for i, at := range t.ids {
		copy(dst[at:at+12], fmt.Sprintf("%012x", batch*batchEvents+int64(i)))
	}
	return dst
}

// post sends batches from..to-1 over a few connections.
func (p *process) post(t template, from, to int64) {
	var next atomic.Int64
	next.Store(from)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			var body []byte
			for n := next.Add(1) - 1; n < to; n = next.Add(1) - 1 {
				body = t.number(body, n)
				req, _ := http.NewRequest(http.MethodPost, p.intake+"/currents", bytes.NewReader(body))
				req.Header.Set("Authorization", "Bearer bench")
				res, err := p.client.Do(req)
				if err != nil {
					p.tb.Error(err)
					return
				}
				answer, _ := io.ReadAll(res.Body)
				res.Body.Close()
				if !strings.Contains(string(answer), `"accepted":100,"duplicates":0`) {
					p.tb.Errorf("%d %s", res.StatusCode, answer)
					return
				}
			}
		})
	}
	all.Wait()
}

// nullSink takes everything that is posted and counts the messages. Packed
// bodies it asks for where packed is true.
func nullSink(tb testing.TB, packed bool) (url string, messages *atomic.Int64) {
	messages = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/version" && packed {
			_, _ = io.WriteString(w, `{"Features":["gzip-req-payload"]}`)
			return
		}
		from := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			unpacked, err := gzip.NewReader(from)
			if err != nil {
				tb.Error(err)
				return
			}
			from = unpacked
		}
		body, _ := io.ReadAll(from)
		messages.Add(int64(bytes.Count(body, []byte(`"messageId":`))))
		_, _ = io.WriteString(w, "ok")
	}))
	tb.Cleanup(server.Close)
	return server.URL, messages
}

// BenchmarkProcess is the whole path: the real binary, batches of 100 events of
// a kilobyte over HTTP, fsynced, mapped and posted to a sink that says ok, as
// they are or packed with gzip. Only the bridge's own CPU counts, user and
// system.
func BenchmarkProcess(b *testing.B) {
	b.Run("plain", func(b *testing.B) { benchmarkProcess(b, false) })
	b.Run("gzip", func(b *testing.B) { benchmarkProcess(b, true) })
}

func benchmarkProcess(b *testing.B, packed bool) {
	url, delivered := nullSink(b, packed)
	p := startProcess(b, url)
	t := newTemplate(b)
	p.post(t, 0, 50) // connections, buffers and caches as they are in the long run
	before, start := p.cpu(), time.Now()
	b.ResetTimer()
	p.post(t, 50, 50+int64(b.N))
	deadline := time.Now().Add(time.Minute)
	for delivered.Load() < 50*batchEvents+int64(b.N)*batchEvents {
		require.False(b, b.Failed() || time.Now().After(deadline), "not everything was delivered")
		time.Sleep(time.Millisecond)
	}
	events := float64(b.N * batchEvents)
	spent := p.cpu() - before
	b.ReportMetric(events/spent.Seconds(), "events/cpu-s")
	b.ReportMetric(float64(spent.Nanoseconds())/events/1000, "cpu-µs/event")
	b.ReportMetric(events/time.Since(start).Seconds(), "events/s")
	b.ReportMetric(float64(len(t.body))/batchEvents, "B/event")
	b.ReportMetric(p.resident(), "MB")
}

// BenchmarkMemory is the memory of the process when it idles, and with a
// million events that a closed data plane keeps pending.
func BenchmarkMemory(b *testing.B) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	url := "http://" + closed.Addr().String()
	require.NoError(b, closed.Close())
	for b.Loop() {
		p := startProcess(b, url)
		b.ReportMetric(p.resident(), "idle-MB")
		p.post(newTemplate(b), 0, 1_000_000/batchEvents)
		b.ReportMetric(p.resident(), "million-pending-MB")
	}
}
