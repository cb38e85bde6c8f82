package queue_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/vfs"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqlite"
)

// stalledAppends holds up the syncs, and appends a batch, a repeat of its first event,
// and its second with a new one.
func (k *kit) stalledAppends(q *queue.Queue) (calls []<-chan result[queue.Receipt], release func(fail bool)) {
	release = k.stall()
	for _, ids := range [][]string{{"1", "2"}, {"1"}, {"2", "3"}} {
		b := k.batch(ids...)
		calls = append(calls, later(func() (queue.Receipt, error) { return q.Append(k.ctx, b) }))
		underWay(k, calls[len(calls)-1]) // so that they come in this order
	}
	return calls, release
}

func nothingBeforeSync(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 1}, "0")
	k.deliver(q, k.fetchAll(q, 1)...)
	calls, release := k.stalledAppends(q)
	underWay(k, calls[0])
	k.count(q, 1, 0, 1, 0, 1, 0, 0, 0)
	k.nothingToFetch(q)
	release(false)
	for i, want := range []queue.Receipt{{Accepted: 2}, {Duplicates: 1}, {Accepted: 1, Duplicates: 1}} {
		require.Equal(k, result[queue.Receipt]{value: want}, answer(k, calls[i]))
	}
	k.count(q, 6, 2, 4, 0, 1, 0, 0, 3)
	r := k.fetchAll(q, 3)

	// An outcome counts when it is on disk, too.
	release = k.stall()
	settled := later(func() (any, error) { return nil, q.Settle(k.ctx, delivered(r...)) })
	underWay(k, settled)
	k.count(q, 6, 2, 4, 0, 1, 0, 0, 3)
	release(false)
	require.NoError(k, answer(k, settled).err)
	k.count(q, 6, 2, 4, 0, 4, 0, 0, 0)
	q.Release(r...)
}

func failedSync(k *kit) {
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 1}, "0")
	r := k.fetchAll(q, 1)
	waiting := k.fetchReplayLater(q)
	underWay(k, waiting)
	calls, release := k.stalledAppends(q)
	replay := later(func() (queue.Replay, error) { return q.StartReplay(k.ctx, queue.ReplayOrder{}) })
	underWay(k, replay)
	underWay(k, waiting)
	require.Zero(k, k.newestReplay(q), "it does not show before it is synced")
	release(true)
	for _, c := range calls {
		got := answer(k, c)
		require.ErrorIs(k, got.err, queue.ErrFailed)
		require.Zero(k, got.value)
	}
	// Nothing is promised any more, and nothing of it shows.
	for _, err := range []error{
		answer(k, replay).err, answer(k, waiting).err, errOf(q.Append(k.ctx, k.batch("4"))), q.Settle(k.ctx, delivered(r...)),
		errOf(q.Claim(k.ctx, everything)), q.SettleReplay(k.ctx, queue.ReplayProgress{Number: 1, Replayed: 1}), k.store.Usage().Err,
	} {
		require.ErrorIs(k, err, queue.ErrFailed)
	}
	k.count(q, 1, 0, 1, 0, 0, 0, 0, 1)
	q.Release(r...)

	// What did not reach the disk is no duplicate when it comes again.
	q = k.reopen("a")
	k.count(q, 1, 0, 1, 0, 0, 0, 0, 1)
	require.Zero(k, k.newestReplay(q))
	k.add(q, queue.Receipt{Accepted: 4, Duplicates: 1}, "0", "1", "2", "3", "4")
	k.deliver(q, k.fetchAll(q, 5)...)
}

var (
	cuts     = flag.Int("cuts", 12, "how often TestPowerCuts cuts the power")
	cutsSeed = flag.Uint64("seed", 1, "seed of TestPowerCuts; moments still depend on the machine")
)

// TestPowerCuts cuts the power under one store again and again in the middle of
// work, with none, some or all of what was not synced on disk afterwards. History is
// kept between two cuts, and pruned at once between the next two.
func TestPowerCuts(t *testing.T) {
	k := newCrashKit(t, queue.Options{}.WithUpkeepEvery(time.Millisecond))
	var c *crowd
	var seen note
	rng, began, total := rand.New(rand.NewPCG(*cutsSeed, 2)), time.Now(), 0
	for cut := range *cuts {
		if cut%10 == 0 { // another connector: all that was ever acknowledged to one is sent again after each cut
			c = newCrowd(k, fmt.Sprint("storm-", cut), 1<<30, 12)
			c.outcome = func(n int, _ []byte) byte { return "ddddxdddf-"[n%10] }
		}
		k.opts.RetainAge = time.Duration(cut%2) * time.Hour
		c.storm(rng.IntN(1<<40), []int{0, 30, 0, 100, 70}[cut%5])
		if cut%10 == 9 || cut == *cuts-1 {
			total += len(c.books)
			for _, n := range c.books {
				seen |= n
			}
			t.Logf("%d power cuts in %s: of %d events nothing acknowledged was lost", cut+1, time.Since(began).Round(time.Second), total)
		}
	}
	require.True(t, seen.has(settled) && seen.has(dead))
}

// storm is one power cut in the middle of concurrent work, and the checks after it.
func (c *crowd) storm(seed, percent int) {
	c.after, c.cut = 5+seed%120, make(chan struct{})
	c.id = func(sender, b, i int) string {
		if i == 0 { // is sent for the second time
			b, i = max(0, b-1), 1
		}
		return fmt.Sprintf("%d-%d-%d-%d", seed, sender, b, i)
	}
	work, failed := errgroup.WithContext(c.k.ctx)
	start := func(n int, do func(int) error) {
		for i := range n {
			work.Go(func() error {
				if err := do(i); !over(err) {
					return err
				}
				return nil
			})
		}
	}
	start(4, c.send)
	start(2, func(i int) error { return c.work(c.k.ctx, seed+i) })
	select {
	case <-c.cut:
	case <-failed.Done():
	}
	c.mu.Lock()
	ledger, promised := c.q.Ledger(), maps.Clone(c.books)
	c.mu.Unlock()
	c.k.crash(percent, uint64(seed))
	require.NoError(c.k, work.Wait())
	// What was acknowledged after the cut was so by a machine that was off.
	for id, n := range c.books {
		c.books[id] = n&(trying|burying) | promised[id]&(acked|settled|dead)
	}
	c.q = c.k.open(c.name)
	c.check(promised, ledger)
}

// over says whether an error means that the power was cut.
func over(err error) bool {
	return errors.Is(err, queue.ErrClosed) || errors.Is(err, queue.ErrFailed)
}

// check compares what is there after the cut with what was promised before it, and
// notes what the cut has decided.
func (c *crowd) check(promised map[string]note, was queue.Ledger) {
	k, l := c.k, c.k.balanced(c.q)
	pending, buried := map[string]int{}, map[string]int{}
	records := k.fetchAll(c.q, int(l.Pending()))
	for _, id := range k.idsOf(records...) {
		pending[id]++
		c.books[id] |= 0 // which may be of a batch that was not acknowledged
	}
	k.nothingToFetch(c.q)
	c.q.Release(records...)
	letters, err := allLetters(k.ctx, c.q)
	require.NoError(k, err)
	require.Len(k, letters, int(l.Dead))
	for _, d := range letters {
		id := k.idOf(d.Event)
		buried[id]++
		c.books[id] |= 0
	}
	var repeats []string
	for id, now := range c.books {
		before := promised[id]
		fault := wrong(before, now, pending[id], buried[id])
		require.Empty(k, fault, "event %s (%d pending, %d dead)", id, pending[id], buried[id])
		if before.has(acked) {
			repeats = append(repeats, id)
		}
		switch {
		case pending[id] > 0:
			c.books[id] = acked
		case buried[id] > 0:
			c.books[id] |= settled | dead
		case now.has(trying):
			c.books[id] |= settled
		}
	}
	k.add(c.q, queue.Receipt{Duplicates: len(repeats)}, repeats...)
	totals := func(l queue.Ledger) []uint64 {
		return []uint64{l.Received, l.Duplicates, l.Accepted, l.Filtered, l.Delivered, l.Dead}
	}
	for i, now := range totals(l) {
		require.LessOrEqual(k, totals(was)[i], now, "a total went back: %+v, %+v", was, l)
	}
}

// wrong says what is wrong with an event of which there are so many pending and so
// many dead.
func wrong(was, now note, pending, buried int) string {
	switch {
	case pending+buried > 1:
		return "it is there more than once"
	case was.has(settled) && pending > 0:
		return "it was settled and is pending again"
	case was.has(acked) && !now.has(trying) && !was.has(settled) && pending == 0:
		return "it was acknowledged and is lost"
	case was.has(dead) && buried == 0:
		return "it was in the dead letters and is lost"
	case buried > 0 && !was.has(dead) && !now.has(burying):
		return "it is in the dead letters without a settlement"
	}
	return ""
}

// allLetters lists all dead letters, page by page.
func allLetters(ctx context.Context, q *queue.Queue) (all []queue.DeadLetter, err error) {
	for after := uint64(0); ; after = all[len(all)-1].Number {
		page, err := q.Letters(ctx, queue.LetterFilter{After: after, Limit: 100})
		if err != nil || len(page) == 0 {
			return all, err
		}
		all = append(all, page...)
	}
}

// crashDisk is a file system for SQLite over a real directory. It knows what was
// synced: crash makes a directory that holds this and some of the rest. Its syncs
// are held up while hold is locked, and can be made to fail.
type crashDisk struct {
	vfs.VFS
	name string

	full  atomic.Bool // there is no room for what is written
	wrote atomic.Bool // something was to be written all the same
	hold  sync.RWMutex
	fail  bool // under hold

	mu     sync.Mutex
	synced map[string]*image // of each file, by its path
}

// image is what a file holds for certain, and where it was written since.
type image struct {
	data     []byte
	from, to int
}

func newCrashDisk() *crashDisk {
	d := &crashDisk{VFS: vfs.Find(""), synced: map[string]*image{}}
	d.name = fmt.Sprintf("crash-%p", d)
	vfs.Register(d.name, sqlite.OnDisk(d))
	return d
}

func (d *crashDisk) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, out, err := d.VFS.(vfs.VFSFilename).OpenFilename(name, flags)
	if err != nil || name == nil {
		return f, out, err
	}
	c := &crashFile{f, d, name.String()}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.synced[c.path] == nil {
		data, err := os.ReadFile(c.path)
		d.synced[c.path] = &image{data: data}
		return c, out, err
	}
	return c, out, nil
}

func (d *crashDisk) Delete(name string, syncDir bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.synced, name)
	return d.VFS.Delete(name, syncDir)
}

// crash cuts the power. What was synced is in the directory to, and of the sectors
// that were written since about the given percentage.
func (d *crashDisk) crash(to string, percent int, seed uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	const sector = 512
	rng := rand.New(rand.NewPCG(seed, 7))
	for path, i := range d.synced {
		now, err := os.ReadFile(path)
		if err != nil || strings.HasSuffix(path, "-shm") {
			continue // it is made anew
		}
		if len(now) < len(i.data) && rng.IntN(100) < percent {
			i.data = i.data[:len(now)]
		}
		for at := i.from &^ (sector - 1); at < min(i.to, len(now)); at += sector {
			if end := min(at+sector, len(now)); rng.IntN(100) < percent {
				i.data = append(i.data, make([]byte, max(0, end-len(i.data)))...)
				copy(i.data[at:], now[at:end])
			}
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(path)), i.data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// crashFile is a file of a crashDisk.
type crashFile struct {
	vfs.File
	disk *crashDisk
	path string
}

func (f *crashFile) SharedMemory() vfs.SharedMemory {
	return f.File.(vfs.FileSharedMemory).SharedMemory()
}

func (f *crashFile) WriteAt(p []byte, at int64) (int, error) {
	if f.disk.full.Load() {
		f.disk.wrote.Store(true)
		return 0, &os.PathError{Op: "write", Path: f.path, Err: syscall.ENOSPC}
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	i, end := f.disk.synced[f.path], int(at)+len(p)
	if i.to == 0 {
		i.from = int(at)
	}
	i.from, i.to = min(i.from, int(at)), max(i.to, end)
	return f.File.WriteAt(p, at)
}

func (f *crashFile) Sync(vfs.SyncFlag) error {
	f.disk.hold.RLock()
	defer f.disk.hold.RUnlock()
	if f.disk.fail {
		return errors.New("injected: sync failed")
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	size, err := f.Size()
	i := f.disk.synced[f.path]
	i.data = append(i.data, make([]byte, max(0, int(size)-len(i.data)))...)[:size]
	if end := min(i.to, int(size)); err == nil && i.from < end {
		_, err = f.ReadAt(i.data[i.from:end], int64(i.from))
	}
	i.from, i.to = 0, 0
	return err
}
