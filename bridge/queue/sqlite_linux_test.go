package queue_test

import (
	"context"
	"crypto/rand"
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
	every := time.Hour
	k := newKit(t, Site{Open: func() (*queue.Store, error) {
		opts := testOptions(t, queue.Options{Dir: filepath.Join(disk, "data"), RetainAge: time.Hour}).WithUpkeepEvery(every)
		return queue.Open(context.Background(), opts)
	}})
	q := k.open("a")
	noise := make([]byte, 1<<20)
	for range 60 {
		_, _ = rand.Read(noise) // never fails
		_, err := q.Append(t.Context(), queue.Batch{Body: noise, Items: []queue.Item{{End: len(noise)}}})
		require.NoError(t, err)
	}
	k.deliver(q, k.fetchAll(q, 60)...)
	require.NoError(t, k.store.Close()) // which removes the log
	smalldisk.Fill(t, filepath.Join(disk, "other"), 6<<20)
	every = 20 * time.Millisecond
	k.reopen("a")
	k.eventually(func() bool { return smalldisk.Free(t, disk) > 27<<20 && !k.store.Usage().Full }, "history makes room")
}
