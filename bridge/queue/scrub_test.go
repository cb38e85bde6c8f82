package queue

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/stretchr/testify/require"
)

// rootPages are the pages of the tables and indexes of a file, by their names.
func rootPages(t *testing.T, file string) map[string]int64 {
	c, err := sqlite3.OpenFlags("file:"+file, sqlite3.OPEN_READONLY|sqlite3.OPEN_URI)
	require.NoError(t, err)
	defer c.Close()
	s, _, err := c.Prepare(`SELECT type || ' ' || name, rootpage FROM sqlite_schema`)
	require.NoError(t, err)
	defer s.Close()
	pages := map[string]int64{}
	for s.Step() {
		pages[s.ColumnText(0)] = s.ColumnInt64(1)
	}
	require.NoError(t, s.Err())
	return pages
}

// One bit flips in a table or an index while nothing reads it but the scrub: that is
// counted once, the store goes on, and the next start makes a whole file of it.
func TestScrubFindsDamage(t *testing.T) {
	from := t.TempDir()
	s, q := openIdle(t, Options{Dir: from})
	for i := range 100 {
		b := batchOf(i)
		if i%2 == 0 {
			b.Items[0].Fate, b.Items[0].Reason = Dead, "refused"
		}
		_, err := q.Append(t.Context(), b)
		require.NoError(t, err)
	}
	_, err := q.StartReplay(t.Context(), ReplayOrder{})
	require.NoError(t, err)
	before := q.Ledger()
	require.NoError(t, s.Close())
	whole, err := os.ReadFile(filepath.Join(from, "queue.db"))
	require.NoError(t, err)
	for what, page := range rootPages(t, filepath.Join(from, "queue.db")) {
		if what == "table body" {
			continue // of which each record is set aside
		}
		t.Run(what, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "queue.db")
			require.NoError(t, os.WriteFile(file, whole, 0o600))
			s, _ := openIdle(t, Options{Dir: filepath.Dir(file)})
			s.scrubOnce()
			require.Zero(t, s.Usage().Damaged)
			scrubbed := s.Usage().Scrubbed
			require.False(t, scrubbed.IsZero())

			f, err := os.OpenFile(file, os.O_WRONLY, 0)
			require.NoError(t, err)
			at := (page-1)*8192 + 4000
			_, err = f.WriteAt([]byte{whole[at] ^ 4}, at)
			require.NoError(t, err)
			require.NoError(t, f.Close())
			for range 2 {
				s.scrubOnce()
				require.Equal(t, 1, s.Usage().Damaged)
			}
			require.Equal(t, scrubbed, s.Usage().Scrubbed, "not everything can be read")
			require.NoError(t, s.Usage().Err)
			require.FileExists(t, file+"-damaged")
			require.NoError(t, s.Close())
			if what == "table connector" {
				return // without the names of the connectors nothing can be made of it
			}
			s, q := openIdle(t, Options{Dir: filepath.Dir(file)})
			require.NoFileExists(t, file+"-damaged")
			s.scrubOnce()
			require.Zero(t, s.Usage().Damaged)
			require.LessOrEqual(t, q.Ledger().Accepted, before.Accepted, fmt.Sprint(q.Ledger()))
		})
	}
}
