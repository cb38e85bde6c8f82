package sqlite

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
	"github.com/stretchr/testify/require"
)

// aLog is the log of a database with pages of 512 bytes, of which each transaction
// but the first wrote one.
func aLog(t *testing.T) []byte {
	file := filepath.Join(t.TempDir(), "x.db")
	c, err := sqlite3.Open("file:" + file)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.Exec(`PRAGMA page_size = 512; PRAGMA journal_mode = WAL; CREATE TABLE t (n)`))
	for range 4 {
		require.NoError(t, c.Exec(`INSERT INTO t VALUES (1)`))
	}
	log, err := os.ReadFile(file + "-wal")
	require.NoError(t, err)
	return log
}

// A log is damaged where a frame does not check and others follow its
// transaction; its last transaction may be what a crash leaves.
func TestLogIsChecked(t *testing.T) {
	const frame = 24 + 512
	whole := aLog(t)
	require.Len(t, whole, 32+6*frame)
	require.NoError(t, scanLog(bytes.NewReader(whole)))
	require.NoError(t, scanLog(bytes.NewReader(nil)))
	for at := 32; at < len(whole); at += 13 {
		log := bytes.Clone(whole)
		log[at] ^= 4
		err := scanLog(bytes.NewReader(log))
		last := (at-32)/frame == 5
		// The size in a commit frame of the last but one says where it ends.
		if in := (at - 32) % frame; last {
			require.NoError(t, err, "at %d", at)
		} else if in < 4 || in >= 8 {
			require.Error(t, err, "at %d", at)
		}
	}
	for cut := 0; cut < len(whole); cut += 101 {
		require.NoError(t, scanLog(bytes.NewReader(whole[:cut])), "cut at %d", cut)
	}
	older := append(bytes.Clone(whole[:32+3*frame]), aLog(t)[32+3*frame:]...)
	require.NoError(t, scanLog(bytes.NewReader(older)), "what follows is of an older generation")
	header := bytes.Clone(whole)
	header[17] ^= 1
	require.Error(t, scanLog(bytes.NewReader(header)))
}

// What SQLite has written to the log is there for it, though nothing is written yet.
func TestJoinedWritesOfTheLog(t *testing.T) {
	const flags = vfs.OPEN_WAL | vfs.OPEN_READWRITE | vfs.OPEN_CREATE | vfs.OPEN_DELETEONCLOSE
	f, _, err := OnDisk(vfs.Find("")).(vfs.VFSFilename).OpenFilename(nil, flags)
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
