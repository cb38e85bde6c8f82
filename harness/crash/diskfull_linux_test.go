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
	"slices"
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
	// reserve is what the bridge leaves free of so small a disk.
	reserve = 24 << 20
	// diskTimeout is for a busy machine; what is waited for takes seconds.
	diskTimeout = 2 * time.Minute
)

// fullDisk is a bridge on a small file system, with a RudderStack that can be made
// unavailable, and what was acknowledged and has arrived, by id.
type fullDisk struct {
	*testing.T
	ctx      context.Context
	disk     string
	dir      string // on another file system
	settings string
	rudder   *mockrudder.Server
	p        *bridgeproc.Process
	client   http.Client
	rng      *rand.ChaCha8
	sent     int
	acked    []string
	arrived  sync.Map // ids
}

func newFullDisk(t *testing.T) *fullDisk {
	build(t) // before the timeout begins
	f := &fullDisk{T: t, disk: smalldisk.Mount(t, 64<<20), dir: t.TempDir(), rng: rand.NewChaCha8([32]byte{7})}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	f.ctx = ctx
	t.Cleanup(cancel)
	f.rudder = mockrudder.Start(t, mockrudder.WithSource(writeKey, mockrudder.HTTP), mockrudder.WithoutValidation(),
		mockrudder.WithKeep(1), mockrudder.WithObserver(func(e mockrudder.Event) { f.arrived.Store(e.MessageID, true) }))
	t.Cleanup(f.client.CloseIdleConnections)
	f.settings = settingsOf(f.disk, f.rudder.URL, ", backoff: {min: 5ms, max: 50ms}", writeKey)
	f.start()
	return f
}

func (f *fullDisk) start() {
	f.p = startReady(f.T, f.dir, f.settings)
}

// post sends events of 8 KB that cannot be compressed, and notes their ids if they
// are acknowledged. Any response but 200 or 503 with Retry-After ends the test.
func (f *fullDisk) post(events int) (taken bool) {
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
	req, err := http.NewRequestWithContext(f.ctx, http.MethodPost, f.p.Intake+"/currents/"+writeKey, strings.NewReader(`{"events":[`+strings.Join(texts, ",")+`]}`))
	require.NoError(f, err)
	req.Header.Set("Authorization", "Bearer tok-"+writeKey)
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
	require.NoError(f, err, "the response says when to retry")
	require.Positive(f, after)
	return false
}

func (f *fullDisk) ready() bool {
	resp, err := f.client.Get(f.p.Admin + "/readyz")
	require.NoError(f, err, "%s", f.p.Log())
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (f *fullDisk) eventually(done func() bool, what string) {
	ctx, cancel := context.WithTimeout(f.ctx, diskTimeout)
	defer cancel()
	for !done() {
		select {
		case <-f.p.Gone:
			f.Fatalf("the bridge has ended: %s\n%s", f.p.Cmd.ProcessState, f.p.Log())
		default:
		}
		require.NoError(f, ctx.Err(), "%s\n%s", what, f.p.Log())
		wait(ctx, 20*time.Millisecond)
	}
}

func (f *fullDisk) awaitRejected() {
	f.eventually(func() bool { return !f.ready() && !f.post(1) && !f.post(100) }, "the bridge does not see that the disk is full")
}

func (f *fullDisk) awaitAccepted() {
	f.eventually(func() bool { return f.ready() && f.post(1) && f.post(100) }, "there is space again, and batches are still rejected")
}

func (f *fullDisk) awaitDelivered() {
	f.eventually(func() bool {
		return !slices.ContainsFunc(f.acked, func(id string) bool {
			_, there := f.arrived.Load(id)
			return !there
		})
	}, "acknowledged events do not arrive")
}

// fill sends events until the bridge accepts none and is not ready.
func (f *fullDisk) fill() {
	for _, events := range []int{100, 10, 1} { // a small batch may fit where a large one does not
		refused := 0
		f.eventually(func() bool {
			if f.post(events) {
				refused = 0
			} else {
				refused++
			}
			return refused >= 3 && (events > 1 || !f.ready())
		}, "the disk is never full")
	}
}

// TestDiskFullOfEvents fills the disk with events while RudderStack is unavailable,
// kills the bridge, and makes RudderStack available again.
func TestDiskFullOfEvents(t *testing.T) {
	t.Parallel()
	f := newFullDisk(t)
	require.NoError(t, f.rudder.SetFaults(mockrudder.Fault{Status: http.StatusServiceUnavailable}))
	begin := time.Now()
	f.fill()
	t.Logf("%d events of 8 KB acknowledged in %s, %d MB free", len(f.acked), time.Since(begin), smalldisk.Free(f, f.disk)>>20)
	require.Greater(t, len(f.acked), 1000, "a good part of the disk was used")
	require.Greater(t, smalldisk.Free(f, f.disk), int64(reserve)/3, "most of the reserve is left free")

	f.p.Kill()
	f.start()
	f.fill() // what a start frees
	require.NoError(t, f.rudder.SetFaults())
	f.awaitDelivered()
	f.awaitAccepted()
	f.awaitDelivered()
	t.Logf("%d events acknowledged and delivered, %s in all", len(f.acked), time.Since(begin))
	require.NoError(t, f.p.Stop(f.ctx))
}

// TestDiskFullOfOtherFiles has another file take the space: first a part of the
// reserve, then all of it to the last page.
func TestDiskFullOfOtherFiles(t *testing.T) {
	t.Parallel()
	f := newFullDisk(t)
	require.True(t, f.post(100))
	f.awaitDelivered()
	require.NoError(t, f.rudder.SetFaults(mockrudder.Fault{Status: http.StatusServiceUnavailable}))
	require.True(t, f.post(100))

	// Below the reserve no batch is accepted, and a start is possible.
	others := filepath.Join(f.disk, "others")
	smalldisk.Fill(f, others, reserve/2)
	f.awaitRejected()
	f.p.Kill()
	f.start()
	smalldisk.Fill(f, others, reserve/2) // the start has removed its old log
	f.awaitRejected()

	// Without a single page left the bridge goes on running, and the outcomes of
	// deliveries wait for space.
	smalldisk.Fill(f, others, 0)
	f.awaitRejected()
	require.NoError(t, f.rudder.SetFaults())
	f.awaitRejected()

	// A start needs some space. Without it, it waits or fails, says why in a few
	// lines, and damages nothing.
	f.p.Kill()
	p := launch(t, build(t).plain, f.dir, f.settings, "")
	require.Eventually(t, func() bool {
		select {
		case <-p.Ready:
			return true
		default:
			return strings.Contains(p.Log(), "no space left on device")
		}
	}, diskTimeout, 20*time.Millisecond)
	log, err := os.Stat(filepath.Join(f.dir, "bridge.log"))
	require.NoError(t, err)
	require.Less(t, log.Size(), int64(64<<10), "%s", p.Log())
	p.Kill()
	require.NoError(t, os.Remove(others))
	f.start()
	f.awaitAccepted()
	f.awaitDelivered()
	require.NoError(t, f.p.Stop(f.ctx))
}
