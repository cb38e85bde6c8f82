package sqlite

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
)

// A part is read in pieces, from its first row to its last.
func TestScrubReadsInPieces(t *testing.T) {
	s, err := Open(t.Context(), Options{Dir: t.TempDir(), Warn: func(string, ...any) {}})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close(t.Context())) }()
	require.NoError(t, s.Update(t.Context(), sqldb.Need{}, func(t sqldb.Tx, _ sqldb.Ready) error {
		for i := range int64(2*pieceRows + 1) {
			if err := t.Exec(`INSERT INTO ids VALUES ($1, $2, '')`, i, i%3); err != nil {
				return err
			}
		}
		return nil
	}))
	for _, p := range parts {
		pieces, want := 0, 1
		if strings.Contains(p.name, " ids") {
			want = 3
		}
		require.NoError(t, s.readPart(t.Context(), p, func() error {
			pieces++
			return nil
		}))
		require.Equal(t, want, pieces, p.name)
	}
}

// Scrub reads each table and each index that there is, but for the tables that the queue
// reads, and reads an index out of its own pages, from a place in it.
func TestScrubReadsEverything(t *testing.T) {
	c, err := sqlite3.Open("file:" + filepath.Join(t.TempDir(), "x.db"))
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.Exec(sqldb.Schema))
	rows := func(sql string, column int) (all []string) {
		s, _, err := c.Prepare(sql)
		require.NoError(t, err, sql)
		defer s.Close()
		for s.Step() {
			all = append(all, s.ColumnText(column))
		}
		require.NoError(t, s.Err())
		return all
	}
	read := []string{"table record", "table body", "table letter"}
	for _, p := range parts {
		read = append(read, p.name)
		kind, name, _ := strings.Cut(p.name, " ")
		for _, first := range []bool{true, false} {
			plan := rows("EXPLAIN QUERY PLAN "+p.piece(first), 3)
			require.Len(t, plan, 1, "it is sorted already: %q", plan)
			require.Equal(t, kind == "index", strings.HasSuffix(strings.Split(plan[0], " (")[0], " INDEX "+name), plan[0])
			require.Equal(t, first, strings.HasPrefix(plan[0], "SCAN"), plan[0])
			require.Equal(t, !first, strings.HasPrefix(plan[0], "SEARCH"), plan[0])
		}
	}
	require.ElementsMatch(t, rows(`SELECT type || ' ' || name FROM sqlite_schema`, 0), read)
}
