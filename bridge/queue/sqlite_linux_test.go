package queue_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
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
