package queue_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// The log is copied into the file while batches come in, and begins anew. Nobody
// else may read any of the files.
func TestLogStaysSmall(t *testing.T) {
	dir := t.TempDir()
	store, err := queue.Open(t.Context(), testOptions(t, queue.Options{Dir: dir}))
	require.NoError(t, err)
	defer store.Close()
	q, err := store.Queue(t.Context(), "a", 0)
	require.NoError(t, err)
	noise := make([]byte, 1<<20)
	const batches = 100
	for range batches {
		_, _ = rand.Read(noise) // never fails
		_, err := q.Append(t.Context(), queue.Batch{Body: noise, Items: []queue.Item{{End: len(noise)}}})
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		file, err := os.Stat(filepath.Join(dir, "queue.db"))
		require.NoError(t, err)
		return file.Size() > batches<<20*9/10 // but for what the last checkpoint has left
	}, patience, glance)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		file, err := os.Stat(filepath.Join(dir, "queue.db"+suffix))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), file.Mode(), suffix)
	}
	log, err := os.Stat(filepath.Join(dir, "queue.db-wal"))
	require.NoError(t, err)
	require.Less(t, log.Size(), int64(batches/2)<<20)
}
