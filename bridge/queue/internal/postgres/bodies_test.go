package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
	"github.com/currentsbridge/currentsbridge/internal/pgtest"
)

// twoBridges opens a store as two bridges.
func twoBridges(t *testing.T) (a, b *DB) {
	url := pgtest.Start(t, "fsync=off").Database(t)
	open := func() *DB {
		p, err := Open(t.Context(), Options{URL: url, AckWait: time.Minute, RetainAge: time.Hour, CommitTimeout: time.Minute, Warn: func(string, ...any) {}})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, p.Close(context.Background())) })
		return p
	}
	return open(), open()
}

// store stores a record with its body, and has drawn and written run on the way.
func (p *DB) store(ctx context.Context, drawn, written func()) (seq int64, err error) {
	err = p.Update(ctx, sqldb.Need{Records: 1}, func(t sqldb.Tx, ready sqldb.Ready) error {
		seq = ready.Seqs[0]
		drawn()
		err := errors.Join(t.Exec(`INSERT INTO record VALUES ($1, 1, 0, 1, 1, 1, 1)`, seq), t.Exec(sqldb.Insert(p.Body(seq), "seq, data"), seq, []byte("x")))
		if err == nil {
			_, err = sqldb.QueryInt(t, `SELECT 1`) // what was queued is sent
		}
		written()
		return err
	})
	return seq, err
}

func nothing() {}

// beginTable begins a new table after the newest.
func (p *DB) beginTable(t *testing.T) {
	var newest int64
	require.NoError(t, p.pool.QueryRow(t.Context(), `SELECT max(span) FROM body_table`).Scan(&newest))
	_, err := p.pool.Exec(t.Context(), beginTable(newest+1))
	require.NoError(t, err)
}

// hasBody requires that the body of a record is there.
func (p *DB) hasBody(t *testing.T, seq int64) {
	var n int
	require.NoError(t, p.pool.QueryRow(t.Context(), `SELECT count(*) FROM `+p.Body(seq)+` WHERE seq = $1`, seq).Scan(&n))
	require.Equal(t, 1, n)
}

func (p *DB) tables(t *testing.T) (numbers []int64) {
	numbers, err := sqldb.QueryRows(t.Context(), p, `SELECT span FROM body_table ORDER BY span`, sqldb.One[int64])
	require.NoError(t, err)
	return numbers
}

// A table that no record names when it is looked at is kept where a transaction that
// was under way then has written into it.
func TestTableIsKeptForATransactionUnderWay(t *testing.T) {
	a, b := twoBridges(t)
	dropped := make(chan error, 1)
	seq, err := a.store(t.Context(), nothing, func() {
		b.beginTable(t)
		require.NoError(t, b.dropTables(t.Context()))
		go func() { dropped <- b.dropTables(t.Context()) }()
		require.Eventually(t, func() bool {
			var waits bool
			err := b.pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)`).Scan(&waits)
			return err == nil && waits
		}, 10*time.Second, time.Millisecond, "it waits for the table")
	})
	require.NoError(t, err)
	require.NoError(t, <-dropped)
	require.Equal(t, []int64{1, 2}, a.tables(t))
	a.hasBody(t, seq)
}

// A transaction whose table was dropped before it wrote runs again, with the newest one.
func TestTableIsDroppedBeforeATransactionWrites(t *testing.T) {
	a, b := twoBridges(t)
	var once sync.Once
	seq, err := a.store(t.Context(), func() {
		once.Do(func() {
			b.beginTable(t)
			require.NoError(t, b.dropTables(t.Context()))
			require.Equal(t, []int64{1, 2}, b.tables(t), "what was listed just now can still be read")
			require.NoError(t, b.dropTables(t.Context()))
		})
	}, nothing)
	require.NoError(t, err)
	require.Equal(t, []int64{2}, a.tables(t))
	require.Equal(t, int64(2), seq>>32)
	a.hasBody(t, seq)
}

// Two bridges store and remove records while tables are begun and dropped all the time:
// no record loses its body.
func TestTablesAreDroppedBesideBridgesThatStore(t *testing.T) {
	a, b := twoBridges(t)
	var begun, left atomic.Int64
	var storing sync.WaitGroup
	for _, p := range []*DB{a, b} {
		left.Add(1)
		storing.Go(func() {
			defer left.Add(-1)
			var kept []int64
			for range 300 {
				seq, err := p.store(t.Context(), func() { time.Sleep(rand.N(5 * time.Millisecond)) }, nothing)
				if err != nil {
					t.Error(err)
					return
				}
				if kept = append(kept, seq); len(kept) > 5 && rand.N(2) == 0 {
					p.hasBody(t, kept[0])
					_, err = p.pool.Exec(t.Context(), `DELETE FROM record WHERE seq = $1`, kept[0])
					require.NoError(t, err)
					kept = kept[1:]
				}
			}
		})
	}
	for left.Load() > 0 {
		a.beginTable(t)
		begun.Add(1)
		require.NoError(t, a.dropTables(t.Context()))
		time.Sleep(rand.N(5 * time.Millisecond))
	}
	storing.Wait()
	seqs, err := sqldb.QueryRows(t.Context(), a, `SELECT seq FROM record`, sqldb.One[int64])
	require.NoError(t, err)
	for _, seq := range seqs {
		a.hasBody(t, seq)
	}
	require.Less(t, int64(len(a.tables(t))), begun.Load(), "tables were dropped")
	_, err = a.pool.Exec(t.Context(), `DELETE FROM record`)
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, a.dropTables(t.Context()))
	}
	require.Len(t, a.tables(t), 1, "the newest stays")
}

// A table that is old is replaced, unless it is empty.
func TestOldTableIsReplaced(t *testing.T) {
	a, _ := twoBridges(t)
	look := func() []int64 {
		_, err := a.pool.Exec(t.Context(), `UPDATE meta SET value = value::bigint - 3601 WHERE name = 'begun'`)
		require.NoError(t, err)
		require.NoError(t, a.replaceTable(t.Context()))
		return a.tables(t)
	}
	require.Equal(t, []int64{1}, look())
	_, err := a.store(t.Context(), nothing, nothing)
	require.NoError(t, err)
	require.NoError(t, a.replaceTable(t.Context()))
	require.Equal(t, []int64{1, 2}, look())
	require.Equal(t, []int64{1, 2}, look())
}
