package queue_test

import (
	"testing"

	"github.com/ncruces/go-sqlite3/vfs"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// What SQLite has written to the log is there for it, though nothing is written yet.
func TestJoinedWritesOfTheLog(t *testing.T) {
	const flags = vfs.OPEN_WAL | vfs.OPEN_READWRITE | vfs.OPEN_CREATE | vfs.OPEN_DELETEONCLOSE
	f, _, err := queue.OnDisk(vfs.Find("")).(vfs.VFSFilename).OpenFilename(nil, flags)
	require.NoError(t, err)
	defer f.Close()
	write := func(text string, at int64) {
		_, err := f.WriteAt([]byte(text), at)
		require.NoError(t, err)
	}
	holds := func(want string) {
		got := make([]byte, len(want))
		_, err := f.ReadAt(got, 0)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
	write("one,", 0)
	write("two,", 4)
	size, err := f.Size()
	require.NoError(t, err)
	require.Zero(t, size, "nothing is written yet")
	holds("one,two,")
	write("three", 8)
	write("ONE", 0)
	holds("ONE,two,three")
	write("four", 13)
	require.NoError(t, f.Truncate(3))
	require.NoError(t, f.Sync(0))
	size, err = f.Size()
	require.NoError(t, err)
	require.EqualValues(t, 3, size)
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
