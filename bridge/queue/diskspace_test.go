package queue

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/pgtest"
)

// Settled records and ids beyond the window go, on both databases, and what the
// ledger says of history with them.
func TestPruning(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { testPruning(t, Options{Dir: t.TempDir()}) })
	t.Run("PostgreSQL", func(t *testing.T) {
		testPruning(t, Options{URL: pgtest.Start(t, "fsync=off").Database(t)})
	})
}

func testPruning(t *testing.T, opts Options) {
	opts.RetainAge = -time.Second // what was settled just now is old enough
	s, q := openIdle(t, opts)
	const batches, size = 14, 1000
	for i := range batches {
		b := Batch{Body: []byte(`{}`)}
		for j := range size {
			b.Items = append(b.Items, Item{End: 2, ID: hash(i*size + j)})
		}
		_, err := q.Append(t.Context(), b)
		require.NoError(t, err)
	}
	var records []*Record
	for len(records) < batches {
		more, err := q.Claim(t.Context(), Limit{Events: 1 << 30, Bytes: 1 << 30})
		require.NoError(t, err)
		records = append(records, more...)
	}
	settle := func(list []*Record) {
		var done Settlement
		for _, r := range list {
			done.Delivered = append(done.Delivered, Span{Seq: r.Seq, Last: len(r.Events) - 1})
		}
		require.NoError(t, q.Settle(t.Context(), done))
	}
	count := func(sql string) int64 {
		n, err := s.queryInt(t.Context(), sql)
		require.NoError(t, err)
		return n
	}
	settle(records[1:])
	require.Positive(t, count(`SELECT history FROM ledger`))
	if s.shared { // a table of bodies without records goes as a whole
		p := s.db.(*postgres)
		p.leader.Store(true)
		_, err := p.pool.Exec(t.Context(), `CREATE TABLE body_1 (); INSERT INTO body_table VALUES (1)`)
		require.NoError(t, err)
		require.NoError(t, p.maintain(t.Context(), nil))
		require.Equal(t, int64(1), count(`SELECT count(*) FROM body_table`))
	}
	require.NoError(t, s.prune(t.Context()))
	require.Equal(t, int64(1), count(`SELECT count(*) FROM record`))
	require.Zero(t, count(`SELECT history FROM ledger`))
	require.Equal(t, int64(size), count(`SELECT CAST(sum(length(hashes) / 16) AS BIGINT) FROM ids`), "the newest row holds the window")
	require.Equal(t, int64(size), q.idsStored.Load())
	settle(records[:1])
	q.Release(records...)
	require.NoError(t, s.prune(t.Context()))
	require.Zero(t, count(`SELECT count(*) FROM record`))
	require.Zero(t, count(`SELECT history FROM ledger`))
}
