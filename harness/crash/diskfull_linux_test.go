package crash

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/bridgeproc"
	"github.com/currentsbridge/currentsbridge/internal/smalldisk"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

const (
	// diskSize is that of the file system in the tests below.
	diskSize = 96 << 20
	// reserve is what the bridge leaves alone of so small a disk.
	reserve = 24 << 20
	// roomPatience is for a busy machine; what is waited for takes seconds.
	roomPatience = 2 * time.Minute
)

// fullDisk is a bridge on a small file system, with a RudderStack that is away at
// will, and what was acknowledged and has arrived, by id.
type fullDisk struct {
	*testing.T
	ctx    context.Context
	disk   string
	dir    string // on another file system
	rudder *mockrudder.Server
	p      *bridgeproc.Process
	client http.Client
	rng    *rand.ChaCha8
	sent   int
	acked  []string

	mu      sync.Mutex
	arrived map[string]int
}

func newFullDisk(t *testing.T) *fullDisk {
	build(t) // in time of its own
	f := &fullDisk{T: t, disk: smalldisk.Mount(t, diskSize), dir: t.TempDir(), arrived: map[string]int{}, rng: rand.NewChaCha8([32]byte{7})}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	f.ctx = ctx
	t.Cleanup(cancel)
	f.rudder = mockrudder.Start(t, mockrudder.WithSource(writeKey, mockrudder.HTTP), mockrudder.WithoutValidation(),
		mockrudder.WithKeep(1), mockrudder.WithObserver(f.arrives))
	t.Cleanup(f.client.CloseIdleConnections)
	f.start()
	return f
}

func (f *fullDisk) arrives(e mockrudder.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.arrived[e.MessageID]++
}

// away makes RudderStack unavailable, or available again.
func (f *fullDisk) away(on bool) {
	f.Helper()
	var faults []mockrudder.Fault
	if on {
		faults = append(faults, mockrudder.Fault{Status: http.StatusServiceUnavailable})
	}
	require.NoError(f, f.rudder.SetFaults(faults...))
}

func (f *fullDisk) launch() *bridgeproc.Process {
	f.Helper()
	p, err := launch(build(f.T).plain, f.dir, fmt.Sprintf(`listen: 127.0.0.1:0
admin: 127.0.0.1:0
data_dir: %q
connectors:
  - {name: a, token: secret, rudder_url: %q, write_key: wk, backoff: {min: 5ms, max: 50ms}}
`, filepath.Join(f.disk, "data"), f.rudder.URL), "")
	require.NoError(f, err)
	f.Cleanup(func() { p.Kill() })
	return p
}

func (f *fullDisk) start() {
	f.Helper()
	f.p = f.launch()
	require.NoError(f, f.p.AwaitReady(f.ctx), "%s", f.p.Log())
}

func (f *fullDisk) kill() {
	f.Helper()
	f.alive()
	f.p.Kill()
	<-f.p.Gone
}

func (f *fullDisk) alive() {
	f.Helper()
	select {
	case <-f.p.Gone:
		f.Fatalf("the bridge has ended: %s\n%s", f.p.Cmd.ProcessState, f.p.Log())
	default:
	}
}

// post sends so many events of 8 KB that no packing makes smaller, and notes
// their ids where they are acknowledged. Any answer but 200 and a good 503 ends
// the test.
func (f *fullDisk) post(events int) (taken bool) {
	f.Helper()
	var ids, texts []string
	noise := make([]byte, 6<<10)
	for range events {
		f.sent++
		_, _ = f.rng.Read(noise) // never fails
		id := "e" + strconv.Itoa(f.sent)
		ids = append(ids, id)
		texts = append(texts, fmt.Sprintf(`{"id":%q,"event_type":"users.behaviors.CustomEvent","user":{"user_id":"u"},"properties":{"x":%q}}`,
			id, base64.StdEncoding.EncodeToString(noise)))
	}
	req, err := http.NewRequestWithContext(f.ctx, http.MethodPost, f.p.Intake+"/currents", strings.NewReader(`{"events":[`+strings.Join(texts, ",")+`]}`))
	require.NoError(f, err)
	req.Header.Set("Authorization", "Bearer secret")
	resp, err := f.client.Do(req)
	require.NoError(f, err, "%s", f.p.Log())
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(f, err)
	if resp.StatusCode == http.StatusOK {
		f.acked = append(f.acked, ids...)
		return true
	}
	require.Equal(f, http.StatusServiceUnavailable, resp.StatusCode, string(text))
	after, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	require.NoError(f, err, "Braze is told when to retry")
	require.Positive(f, after)
	return false
}

func (f *fullDisk) ready() bool {
	f.Helper()
	resp, err := f.client.Get(f.p.Admin + "/readyz")
	require.NoError(f, err, "%s", f.p.Log())
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// within polls until done returns true.
func (f *fullDisk) within(d time.Duration, done func() bool, what string) {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.ctx, d)
	defer cancel()
	for !done() {
		f.alive()
		require.NoError(f, ctx.Err(), "%s\n%s", what, f.p.Log())
		wait(ctx, 20*time.Millisecond)
	}
}

func (f *fullDisk) free() int64 { return smalldisk.Free(f, f.disk) }

func (f *fullDisk) crowd(name string, leave int64) {
	f.Helper()
	smalldisk.Fill(f, filepath.Join(f.disk, name), leave)
}

// refusing waits until nothing is taken any more, taking until it is again.
func (f *fullDisk) refusing() {
	f.Helper()
	f.within(roomPatience, func() bool { return !f.ready() && !f.post(1) && !f.post(100) }, "the bridge does not see that the disk is full")
}

func (f *fullDisk) taking() {
	f.Helper()
	f.within(roomPatience, func() bool { return f.ready() && f.post(1) && f.post(100) }, "there is room again, and intake does not open")
}

// allArrive waits until everything that was acknowledged is delivered.
func (f *fullDisk) allArrive() {
	f.Helper()
	missing := 0
	f.within(roomPatience, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		missing = 0
		for _, id := range f.acked {
			if f.arrived[id] == 0 {
				missing++
			}
		}
		return missing == 0
	}, "acknowledged events do not arrive")
}

// fill sends events until the bridge takes none any more and says so.
func (f *fullDisk) fill() {
	f.Helper()
	for _, events := range []int{100, 10, 1} { // where a large batch has no room, a small one may
		refused := 0
		f.within(roomPatience, func() bool {
			if f.post(events) {
				refused = 0
			} else {
				refused++
			}
			return refused >= 3 && (events > 1 || !f.ready())
		}, "the disk is never full")
	}
}

// TestDiskFullOfEvents fills the disk with what waits for a RudderStack that is
// away, kills the bridge then, and has RudderStack come back.
func TestDiskFullOfEvents(t *testing.T) {
	f := newFullDisk(t)
	f.away(true)
	begin := time.Now()
	f.fill()
	t.Logf("%d events of 8 KB acknowledged in %s, %d MB free", len(f.acked), time.Since(begin), f.free()>>20)
	require.Greater(t, len(f.acked), 1000, "a good part of the disk was used")
	require.Greater(t, f.free(), int64(reserve)/3, "most of the reserve is left alone")

	f.kill()
	f.start()
	f.fill() // what a start frees
	f.away(false)
	f.allArrive()
	f.taking()
	f.allArrive()
	t.Logf("%d events acknowledged and delivered, %s in all", len(f.acked), time.Since(begin))
	require.NoError(t, f.p.Stop(f.ctx))
}

// TestDiskFullOfOtherFiles has somebody else take the room: first so much that
// the reserve is touched, then all of it to the last page.
func TestDiskFullOfOtherFiles(t *testing.T) {
	f := newFullDisk(t)
	require.True(t, f.post(100))
	f.allArrive()
	f.away(true)
	require.True(t, f.post(100))

	// Below the reserve nothing is taken, and a start is possible.
	f.crowd("others", reserve/2)
	f.refusing()
	f.kill()
	f.start()
	f.crowd("others", reserve/2) // the start has let go of its old log
	f.refusing()

	// Without a single page left it lives on, and what is delivered meanwhile waits
	// for room for its outcome.
	f.crowd("others", 0)
	f.refusing()
	f.away(false)
	f.refusing()

	// A start needs some room. Without it, it waits or fails, says why in a few
	// lines, and harms nothing.
	f.kill()
	p := f.launch()
	select {
	case <-p.Ready:
	case <-p.Gone:
		require.Contains(t, p.Log(), "no space left on device")
	case <-time.After(3 * time.Second):
		require.Contains(t, p.Log(), "no space left on device")
	}
	log, err := os.Stat(filepath.Join(f.dir, "bridge.log"))
	require.NoError(t, err)
	require.Less(t, log.Size(), int64(64<<10), "%s", p.Log())
	p.Kill()
	require.NoError(t, os.Remove(filepath.Join(f.disk, "others")))
	f.start()
	f.taking()
	f.allArrive()
	require.NoError(t, f.p.Stop(f.ctx))
}
