package pebble

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// Where what is left is too small for a batch, though not nothing, the store is
// full: else every batch would be refused and nobody be told.
func TestFullIsWhereABatchHasNoRoom(t *testing.T) {
	k := newKeeping(t, Options{RetainAge: time.Hour, Reserve: 800 << 20})
	q := openTestQueue(t, k.s, "a")
	left := uint64(1 << 20)
	k.free(800<<20 + left)
	k.eventually(func() bool { return k.s.Usage().Free == int64(800<<20+left) }, "the disk is measured")
	require.False(t, k.s.Usage().Full)
	require.ErrorIs(t, k.add(q, int(left)), queue.ErrFull)
	require.True(t, k.s.Usage().Full)
	require.ErrorIs(t, k.add(q, 10), queue.ErrFull, "until there is clearly more")

	// With more left than it takes to open again, one large batch says nothing of others.
	left = 200 << 20
	k.free(800<<20 + left)
	k.eventually(func() bool { return !k.s.Usage().Full }, "there is room again")
	require.ErrorIs(t, k.s.disk.admit(int(left)), queue.ErrFull)
	require.False(t, k.s.Usage().Full)
	require.NoError(t, k.add(q, 10))
}

// A small disk has a reserve too that is larger than what Pebble takes at once.
func TestReserveOfASmallDisk(t *testing.T) {
	for total, want := range map[uint64]int64{64 << 20: 24 << 20, 1 << 30: (1 << 30) / 10, 100 << 30: 256 << 20} {
		fs := vfs.NewMem()
		fs.TestingSetDiskUsage(vfs.DiskUsage{TotalBytes: total, AvailBytes: total})
		s := openTest(t, "data", Options{FS: fs})
		s.disk.mu.Lock()
		require.Equal(t, want, s.disk.reserve)
		s.disk.mu.Unlock()
		require.NoError(t, s.Close())
	}
}

// Background work that fails is tried again after a pause, and told of in a line
// now and then.
func TestTroubleIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		o := &opening{FS: vfs.NewMem(), log: slog.New(slog.NewTextHandler(&log, nil))}
		for range 1000 {
			o.trouble.note(o.log, errors.New("no space left\n  -- stack trace:"))
		}
		require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
		require.NotContains(t, log.String(), "stack trace")
		create := func(name string) time.Duration {
			begin := time.Now()
			f, err := o.Create(name, vfs.WriteCategoryUnspecified)
			require.NoError(t, err)
			require.NoError(t, f.Close())
			return time.Since(begin)
		}
		require.Equal(t, troublePause, create("000001.sst"))
		require.Zero(t, create("000003.log"), "a batch does not wait")
		o.trouble.last.Store(time.Now().Add(-time.Minute).UnixNano())
		require.Zero(t, create("000002.sst"))
	})
}
