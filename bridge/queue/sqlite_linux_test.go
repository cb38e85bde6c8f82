package queue_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/smalldisk"
)

// On a full disk history goes until there is room, in steps that need hardly any
// themselves.
func TestHistoryMakesRoom(t *testing.T) {
	disk := smalldisk.Mount(t, 128<<20)
	k := newKit(t, queue.Options{Dir: filepath.Join(disk, "data"), RetainAge: time.Hour}.WithUpkeepEvery(time.Hour))
	q := k.open("a")
	k.addNoise(q, 60)
	k.deliver(q, k.fetchAll(q, 60)...)
	require.NoError(t, k.store.Close()) // which removes the log
	smalldisk.Fill(t, filepath.Join(disk, "other"), 6<<20)
	k.opts = k.opts.WithUpkeepEvery(20 * time.Millisecond)
	k.reopen("a")
	k.eventually(func() bool { return smalldisk.Free(t, disk) > 27<<20 && !k.store.Usage().Full }, "history makes room")
}

// A rebuild takes as much disk again and no more. Where that is not there it says so, and
// gives back what it has taken.
func TestRebuildNeedsRoom(t *testing.T) {
	disk := smalldisk.Mount(t, 128<<20)
	k := newKit(t, queue.Options{Dir: filepath.Join(disk, "data"), RetainAge: time.Hour})
	q := k.open("a")
	k.addNoise(q, 40)
	before := k.balanced(q)
	require.NoError(t, k.store.Close())
	k.store = nil
	require.NoError(t, os.WriteFile(filepath.Join(k.opts.Dir, "queue.db-damaged"), nil, 0o600))
	size := int64(len(casefile.Text(t, filepath.Join(k.opts.Dir, "queue.db"))))
	other := filepath.Join(disk, "other")
	smalldisk.Fill(t, other, size/2)
	err := errOf(k.openStore())
	require.ErrorContains(t, err, "as much disk again")
	require.Greater(t, smalldisk.Free(t, disk), size/3, "what it has written is gone")
	require.NoError(t, os.Remove(other))
	smalldisk.Fill(t, other, size+4<<20)
	require.Equal(t, before, k.balanced(k.open("a")))
}
