package queue

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// storeIDs stores n rows of 1000 ids for the queue "a" of a store that is closed
// afterwards. The first id of each is mark.
func storeIDs(t *testing.T, dir string, n int, mark []byte) {
	s, err := Open(t.Context(), Options{Dir: dir})
	require.NoError(t, err)
	q, err := s.Queue(t.Context(), "a", 1000*n)
	require.NoError(t, err)
	require.NoError(t, s.writer.run(t.Context(), &op{size: 100, do: func(c *change) error {
		for i := range n {
			row := bytes.Clone(mark)
			for j := range 999 {
				row = appendHash(row, hash(1000*i+j))
			}
			if err := c.exec(insertIDs, int64(1000+i), q.id, row); err != nil {
				return err
			}
		}
		return nil
	}}))
	require.NoError(t, s.Close())
}

// Reading a large window takes longer than a commit may, and holds up none.
func TestLargeWindowIsReadBesideTheWriter(t *testing.T) {
	dir := t.TempDir()
	const rows = 500
	storeIDs(t, dir, rows, bytes.Repeat([]byte{1}, 16))
	s, err := Open(t.Context(), Options{Dir: dir, AppendTimeout: 20 * time.Millisecond})
	require.NoError(t, err)
	defer s.Close()
	q, err := s.Queue(t.Context(), "a", 1000*rows)
	require.NoError(t, err)
	require.Equal(t, 999*rows+1, q.window.size())
}

// A queue whose ids are damaged cannot be opened; the others go on.
func TestDamagedIDsOfOneQueue(t *testing.T) {
	dir := t.TempDir()
	mark := []byte("MARKMARKMARKMARK")
	storeIDs(t, dir, 5, mark)
	file := filepath.Join(dir, databaseFile)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	at := bytes.Index(data, mark)
	require.Positive(t, at)
	data[at] ^= 1
	require.NoError(t, os.WriteFile(file, data, 0o600))
	s, err := Open(t.Context(), Options{Dir: dir})
	require.NoError(t, err)
	defer s.Close()
	b, err := s.Queue(t.Context(), "b", 1000)
	require.NoError(t, err)
	_, err = s.Queue(t.Context(), "a", 5000)
	require.ErrorIs(t, err, ErrDamaged)
	_, err = b.Append(t.Context(), batchOf(1))
	require.NoError(t, err)
	require.NoError(t, s.Usage().Err)
}
