package queue_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/logbuffer"
)

var long = flag.Bool("long", false, "run the long forms: more places, more events")

// The files are for their owner alone, and sqlite3 can read them beside the store.
func TestFilesOfTheStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	k := newKit(t, queue.Options{Dir: dir})
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 1}, "1")
	for _, name := range []string{"queue.db", "queue.db-wal", "queue.db-shm", "LOCK"} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
	}
	endReading := readBeside(t, dir)
	endReading()
	require.NoError(t, k.store.Close())
	_, err := os.Stat(filepath.Join(dir, "queue.db-wal"))
	require.ErrorIs(t, err, os.ErrNotExist, "an orderly stop leaves no log")
}

// readBeside begins to read the file as another program does, in a transaction that
// lasts until end.
func readBeside(t *testing.T, dir string) (end func()) {
	c, err := sqlite3.OpenFlags("file:"+filepath.Join(dir, "queue.db"), sqlite3.OPEN_READONLY|sqlite3.OPEN_URI)
	require.NoError(t, err)
	s, _, err := c.Prepare(`SELECT accepted FROM ledger`)
	require.NoError(t, err)
	require.True(t, s.Step())
	require.Equal(t, 1, s.ColumnInt(0))
	return func() {
		require.NoError(t, s.Close())
		require.NoError(t, c.Close())
	}
}

// An erasure waits for who reads the file beside the store, and batches do not wait
// for the erasure.
func TestErasureBesideAReader(t *testing.T) {
	k := newKit(t, queue.Options{Dir: t.TempDir(), RetainAge: time.Hour, AppendTimeout: time.Second})
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 1, Dead: 1}, "dead:secret")
	endReading := readBeside(t, k.opts.Dir)
	erased := later(func() (queue.Erasure, error) {
		return q.Erase(t.Context(), func(event []byte) bool { return bytes.Contains(event, []byte("secret")) })
	})
	k.eventually(func() bool { return q.Ledger().Purged == 1 }, "the letter is gone, and what is left of it is in the log")
	for i := range 300 {
		k.add(q, queue.Receipt{Accepted: 1}, fmt.Sprint(i))
	}
	require.Empty(t, erased, "it waits")
	endReading()
	require.Equal(t, queue.Erasure{Dead: 1}, answer(k, erased).value)
}

// A store is closed beside who reads the file. Its log stays, and nothing is lost.
func TestCloseBesideAReader(t *testing.T) {
	k := newKit(t, queue.Options{Dir: t.TempDir()})
	log := &logbuffer.Buffer{}
	k.opts.Logger = slog.New(slog.NewTextHandler(log, nil))
	k.add(k.open("a"), queue.Receipt{Accepted: 1}, "1")
	endReading := readBeside(t, k.opts.Dir)
	k.add(k.open("a"), queue.Receipt{Accepted: 1}, "2")
	require.NoError(t, k.store.Close())
	require.Contains(t, log.String(), "another process reads the store")
	q := k.reopen("a")
	endReading()
	k.fetchThese(q, "1", "2")
}

// A commit that does not come is an error within the timeout, the store says so,
// and the ledger can be read meanwhile. What comes in the end counts.
func TestHungDisk(t *testing.T) {
	k := newCrashKit(t, queue.Options{AppendTimeout: time.Second})
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 1}, "0")
	release := k.stall()
	require.ErrorIs(t, errOf(q.Append(k.ctx, k.batch("1"))), queue.ErrAway)
	require.ErrorIs(t, k.store.Usage().Away, queue.ErrAway)
	require.Equal(t, uint64(1), q.Ledger().Pending())
	require.ErrorIs(t, errOf(q.Append(k.ctx, k.batch("2"))), queue.ErrAway, "its transaction has not begun: it is withdrawn")
	release(false)
	k.eventually(func() bool { return k.store.Usage().Away == nil }, "it answers again")
	k.eventually(func() bool { return q.Ledger().Accepted == 2 }, "the first one was stored after all")
	k.add(q, queue.Receipt{Accepted: 1, Duplicates: 1}, "1", "2")
}

// What the disk did not do is named.
func TestFailedSyncIsNamed(t *testing.T) {
	k := newCrashKit(t, queue.Options{})
	calls, release := k.stalledAppends(k.open("a"))
	release(true)
	require.ErrorContains(t, answer(k, calls[0]).err, "(fsync, code 1034 of SQLite)")
	require.ErrorContains(t, k.store.Usage().Err, "(fsync, code 1034 of SQLite)")
	k.reopen("a")
}

// A file system that does not say how much room it has holds up nothing.
func TestHungFileSystem(t *testing.T) {
	var hung atomic.Bool
	release := make(chan struct{})
	k := newKit(t, queue.Options{Dir: t.TempDir()})
	k.opts = k.opts.WithDisk(func() (free, total int64) {
		if hung.Load() {
			<-release
		}
		return 50 << 30, 100 << 30
	})
	q := k.open("a")
	hung.Store(true)
	defer close(release)
	for _, id := range []string{"1", "2", "3"} {
		time.Sleep(30 * time.Millisecond) // it is asked at most so often
		got := answer(k, later(func() (queue.Receipt, error) { return q.Append(k.ctx, k.batch(id)) }))
		require.Equal(t, queue.Receipt{Accepted: 1}, got.value)
	}
}

// What was erased is in none of the store's files any more, neither after it was
// history nor a dead letter nor pruned.
func TestErasedBytesAreGone(t *testing.T) {
	k := newKit(t, queue.Options{Dir: t.TempDir(), RetainAge: time.Hour})
	q := k.open("a")
	const secret = "my-unmistakable-words"
	for i := range 50 {
		k.add(q, queue.Receipt{Accepted: 2, Dead: 1}, fmt.Sprint(secret, i), fmt.Sprint("dead:", secret, "-", i))
	}
	k.deliver(q, k.fetchAll(q, 50)...)
	inFiles := func() (found bool) {
		names, err := filepath.Glob(filepath.Join(k.opts.Dir, "*"))
		require.NoError(t, err)
		for _, name := range names {
			data, err := os.ReadFile(name)
			require.NoError(t, err)
			found = found || bytes.Contains(data, []byte(secret))
		}
		return found
	}
	require.True(t, inFiles())
	k.erase(q, queue.Erasure{History: 50, Dead: 50})
	require.False(t, inFiles())
}

// A backup is made while the store is in use, comes to its end though commits go on,
// which do not restart it, and is a store as it was at one moment.
func TestBackup(t *testing.T) {
	k, to := newKit(t, queue.Options{Dir: t.TempDir()}), t.TempDir()
	q := k.open("a")
	k.add(q, queue.Receipt{Accepted: 2}, "1", "2")
	k.addNoise(q, 40)
	ctx, stop := context.WithTimeout(t.Context(), longTimeout)
	defer stop()
	sent := later(func() (_ queue.Receipt, err error) {
		for ctx.Err() == nil && err == nil {
			_, err = q.Append(t.Context(), k.batch("-"))
		}
		return queue.Receipt{}, err
	})
	file := filepath.Join(to, "queue.db")
	require.NoError(t, k.store.Backup(ctx, file))
	stop()
	require.NoError(t, answer(k, sent).err)
	require.Error(t, k.store.Backup(k.ctx, file), "it overwrites nothing")
	k.add(q, queue.Receipt{Accepted: 1}, "3")
	copied := newKit(t, queue.Options{Dir: to})
	of := copied.open("a")
	pending := of.Ledger().Pending()
	require.GreaterOrEqual(t, pending, uint64(42))
	records := copied.fetchAll(of, int(pending))
	require.Equal(t, []string{"1", "2"}, k.idsOf(records[0]))
	require.Len(t, records[1].Events[0].Raw, 1<<20)
	copied.deliver(of, records...)
	copied.count(of, pending, 0, pending, 0, pending, 0, 0, 0)
	copied.add(of, queue.Receipt{Accepted: 1, Duplicates: 1}, "1", "3")
}

// History goes after its age, ids of the window stay, and the disk is given back.
func TestRetention(t *testing.T) {
	k := newKit(t, queue.Options{Dir: t.TempDir()}.WithUpkeepEvery(5*time.Millisecond))
	k.window = 10_000
	q := k.open("a")
	for i := range 200 {
		ids := make([]string, 20)
		for j := range ids {
			ids[j] = fmt.Sprintf("%d-%d-%0500d", i, j, i*j)
		}
		k.add(q, queue.Receipt{Accepted: 20}, ids...)
	}
	k.deliver(q, k.fetchAll(q, 4000)...)
	k.eventually(func() bool {
		at, err := k.store.OldestHistory(k.ctx)
		return err == nil && at.IsZero() && k.store.Usage().Bytes < 4<<20
	}, "history is pruned and its pages are given back")
	for range 2 {
		k.add(q, queue.Receipt{Duplicates: 1}, fmt.Sprintf("%d-%d-%0500d", 3, 5, 15))
		q = k.reopen("a")
	}
}

// addNoise appends batches of 1 MiB that cannot be compressed.
func (k *kit) addNoise(q *queue.Queue, batches int) {
	noise := make([]byte, 1<<20)
	for range batches {
		_, _ = rand.Read(noise) // never fails
		_, err := q.Append(k.ctx, queue.Batch{Body: noise, Items: []queue.Item{{End: len(noise)}}})
		require.NoError(k, err)
	}
}

// The log is copied into the file while batches come in, and is then written from its start.
func TestLogStaysSmall(t *testing.T) {
	k := newKit(t, queue.Options{Dir: t.TempDir()})
	const batches = 200 // on a busy machine the log grows for a while
	k.addNoise(k.open("a"), batches)
	size := func(name string) int64 {
		info, err := os.Stat(filepath.Join(k.opts.Dir, name))
		require.NoError(t, err)
		return info.Size()
	}
	k.eventually(func() bool { return size("queue.db") > batches<<20*9/10 }, "all but what the last checkpoint has left is in the file")
	require.Less(t, size("queue.db-wal"), int64(batches/2)<<20)
}

// A disk that has no room for the log is full, though that shows within a sync, and
// takes batches again once it has some.
func TestNoRoomForTheLog(t *testing.T) {
	k := newCrashKit(t, queue.Options{})
	k.opts = k.opts.WithDisk(func() (free, total int64) {
		if k.disk.wrote.Load() {
			return 1 << 20, 100 << 30
		}
		return 50 << 30, 100 << 30
	})
	q := k.open("a")
	k.disk.full.Store(true)
	_, err := q.Append(k.ctx, k.batch("1"))
	require.ErrorIs(t, err, queue.ErrFull)
	require.True(t, k.disk.wrote.Load())
	k.disk.full.Store(false)
	k.disk.wrote.Store(false)
	k.eventually(func() bool { return !k.store.Usage().Full }, "room again")
	k.add(q, queue.Receipt{Accepted: 1}, "1")
	k.fetchThese(q, "1")
}
