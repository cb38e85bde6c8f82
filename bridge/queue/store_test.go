package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/postgres"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
	"github.com/currentsbridge/currentsbridge/internal/pgtest"
)

// storeIDs stores n rows of 1000 ids for the queue "a" of a store that is closed
// afterwards. The first id of each is mark.
func storeIDs(t *testing.T, dir string, n int, mark []byte) {
	s, q := openIdle(t, Options{Dir: dir, AppendTimeout: time.Minute})
	require.NoError(t, q.transact(t.Context(), func(c *change) error {
		for i := range n {
			row := bytes.Clone(mark)
			for j := range 999 {
				row = appendHash(row, hash(1000*i+j))
			}
			if err := c.Exec(insertIDs, int64(1000+i), q.id, row); err != nil {
				return err
			}
		}
		return nil
	}))
	require.NoError(t, s.Close())
}

// heldDB holds up who reads ids in a view.
type heldDB struct {
	sqldb.Database
	reading, goOn chan struct{}
}

type heldTx struct {
	sqldb.Tx
	db heldDB
}

func (d heldDB) View(ctx context.Context, do func(sqldb.Tx) error) error {
	return d.Database.View(ctx, func(t sqldb.Tx) error { return do(heldTx{t, d}) })
}

func (t heldTx) Query(sql string, each func(sqldb.Row) error, args ...any) error {
	return t.Tx.Query(sql, func(r sqldb.Row) error {
		if strings.Contains(sql, "FROM ids") {
			select {
			case t.db.reading <- struct{}{}:
			case <-t.db.goOn:
			}
			<-t.db.goOn
		}
		return each(r)
	}, args...)
}

// openHeld begins to open the queue "a", whose ids are read only once goOn is called.
func openHeld(t *testing.T, s *Store) (goOn func() *Queue) {
	held := heldDB{s.db, make(chan struct{}), make(chan struct{})}
	s.db = held
	opened := make(chan *Queue, 1)
	go func() {
		a, err := s.Queue(t.Context(), "a", 1000)
		assert.NoError(t, err)
		opened <- a
	}()
	release := sync.OnceFunc(func() { close(held.goOn) })
	t.Cleanup(release)
	select {
	case <-held.reading:
	case <-opened:
		t.Fatal("the ids are read elsewhere")
	}
	return func() *Queue {
		release()
		return <-opened
	}
}

// openOther opens a store and its queue "b".
func openOther(t *testing.T, opts Options) (*Store, *Queue) {
	opts.maintainEvery = time.Hour
	s, err := Open(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	b, err := s.Queue(t.Context(), "b", 100)
	require.NoError(t, err)
	return s, b
}

// The window is read beside the writer: however long that takes, it holds up no commit.
func TestLargeWindowIsReadBesideTheWriter(t *testing.T) {
	dir := t.TempDir()
	storeIDs(t, dir, 1, bytes.Repeat([]byte{1}, 16))
	s, b := openOther(t, Options{Dir: dir, AppendTimeout: time.Minute})
	goOn := openHeld(t, s)
	for i := range 3 {
		_, err := b.Append(t.Context(), batchOf(i))
		require.NoError(t, err)
	}
	require.Equal(t, 1000, goOn().window.Size())
}

// Ids of another bridge become visible in another order than their numbers': while a
// queue is opened, and afterwards.
func TestIDsThatBecomeVisibleLate(t *testing.T) {
	opts := Options{URL: pgtest.Start(t, "fsync=off").Database(t)}
	_, other := openIdle(t, opts)
	_, err := other.Append(t.Context(), batchOf(1))
	require.NoError(t, err)
	late := func(id int) {
		require.NoError(t, other.transact(t.Context(), func(c *change) error {
			return c.Exec(`INSERT INTO ids SELECT min(seq) - 1, $1, $2 FROM ids`, other.id, appendHash(nil, hash(id)))
		}))
	}
	s, b := openOther(t, opts)
	goOn := openHeld(t, s)
	late(2)
	_, err = b.Append(t.Context(), batchOf(100)) // it reads what others have stored
	require.NoError(t, err)
	a := goOn()
	for id := 2; id < 5; id++ {
		if id > 2 {
			late(id)
		}
		time.Sleep(60 * time.Millisecond) // ids of others are read at most so often
		batch := batchOf(id)
		batch.Items = append(batch.Items, Item{ID: hash(100 + id)}) // so that it is not known by its hash
		got, err := a.Append(t.Context(), batch)
		require.NoError(t, err)
		require.Equal(t, Receipt{Accepted: 1, Duplicates: 1}, got, id)
	}
}

// A queue whose ids are damaged cannot be opened; the others go on.
func TestDamagedIDsOfOneQueue(t *testing.T) {
	dir := t.TempDir()
	mark := []byte("MARKMARKMARKMARK")
	storeIDs(t, dir, 5, mark)
	file := filepath.Join(dir, "queue.db")
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

// onBoth runs a test with a store of each kind.
func onBoth(t *testing.T, test func(t *testing.T, opts Options)) {
	t.Run("SQLite", func(t *testing.T) { test(t, Options{Dir: t.TempDir()}) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, Options{URL: pgtest.Start(t, "fsync=off").Database(t)}) })
}

// A newer format is refused.
func TestNewerFormat(t *testing.T) {
	onBoth(t, func(t *testing.T, opts Options) {
		s, q := openIdle(t, opts)
		require.NoError(t, q.transact(t.Context(), func(c *change) error {
			return c.Exec(`UPDATE meta SET value = '2' WHERE name = 'format'`)
		}))
		require.NoError(t, s.Close())
		if opts.Dir != "" { // a rebuild does not know it either
			require.NoError(t, os.WriteFile(filepath.Join(opts.Dir, "queue.db-damaged"), nil, 0o600))
		}
		for range 2 {
			_, err := Open(t.Context(), opts)
			require.ErrorIs(t, err, ErrNewerFormat)
			require.ErrorContains(t, err, "format 2")
		}
	})
}

// A store whose tables have no column altered yet gets it, with and without a rebuild.
func TestEarlierTables(t *testing.T) {
	onBoth(t, func(t *testing.T, opts Options) {
		for i := range 2 {
			s, q := openIdle(t, opts)
			require.NoError(t, q.transact(t.Context(), func(c *change) error {
				return c.Exec(`ALTER TABLE letter DROP COLUMN altered`)
			}))
			require.NoError(t, s.Close())
			if opts.Dir != "" && i == 1 {
				require.NoError(t, os.WriteFile(filepath.Join(opts.Dir, "queue.db-damaged"), nil, 0o600))
			}
			s, q = openIdle(t, opts)
			_, err := q.Append(t.Context(), Batch{Body: []byte(`{}`), Items: []Item{{End: 2, Fate: Dead}}})
			require.NoError(t, err)
			letters, err := q.Letters(t.Context(), LetterFilter{})
			require.NoError(t, err)
			require.Len(t, letters, i+1)
			require.NoError(t, s.Close())
		}
	})
}

// Settled records and ids beyond the window go, and what the ledger says of history
// with them.
func TestPruning(t *testing.T) { onBoth(t, testPruning) }

func testPruning(t *testing.T, opts Options) {
	opts.RetainAge = -time.Second // what was settled just now is old enough
	s, q := openIdle(t, opts)
	const batches, size = 20, 1000
	for i := range batches {
		b := Batch{Body: []byte(`{}`)}
		for j := range size {
			b.Items = append(b.Items, Item{End: 2, ID: hash(i*size + j)})
		}
		_, err := q.Append(t.Context(), b)
		require.NoError(t, err)
	}
	records, err := q.Claim(t.Context(), Limit{Events: 1 << 30, Bytes: 1 << 30})
	require.NoError(t, err)
	require.Len(t, records, batches)
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
	if s.shared {
		dropEmptyTable(t, s, q)
	}
	removed := 0
	require.NoError(t, q.transact(t.Context(), func(c *change) error {
		removed = 0
		return c.Query(pruneSomeIDs, func(sqldb.Row) error { removed++; return nil }, q.id, int64(0), int64(math.MaxInt64), int64(math.MaxInt64), int64(prunedIDs))
	}))
	require.Equal(t, 5, removed, "a transaction is short: 64 KB")
	q.idsStored.Add(-5 * size)
	require.NoError(t, s.prune(t.Context(), time.Now()))
	require.Equal(t, int64(1), count(`SELECT count(*) FROM record`))
	require.Zero(t, count(`SELECT history FROM ledger`))
	require.Equal(t, int64(size), count(`SELECT CAST(sum(length(hashes) / 16) AS BIGINT) FROM ids`), "the newest row holds the window")
	require.LessOrEqual(t, q.idsStored.Load(), int64(size), "else they are looked for each second")
	settle(records[:1])
	q.Release(records...)
	require.Eventually(t, func() bool { // PostgreSQL: once after each look at its tables
		if s.shared {
			require.NoError(t, s.db.Maintain(t.Context(), nil, nil))
		}
		require.NoError(t, s.prune(t.Context(), time.Now()))
		return count(`SELECT count(*) FROM record`) == 0
	}, time.Minute, 100*time.Millisecond)
	require.Zero(t, count(`SELECT history FROM ledger`))
}

// dropEmptyTable has the store, which prunes from now on, drop a table of bodies that no
// record names.
func dropEmptyTable(t *testing.T, s *Store, q *Queue) {
	require.NoError(t, s.db.(*postgres.DB).Renew(t.Context(), false)) // now it prunes
	require.NoError(t, q.transact(t.Context(), func(c *change) error {
		return errors.Join(c.Exec(`CREATE TABLE body_0 ()`), c.Exec(`INSERT INTO body_table VALUES (0)`))
	}))
	require.Eventually(t, func() bool {
		require.NoError(t, s.db.Maintain(t.Context(), nil, nil))
		n, err := s.queryInt(t.Context(), `SELECT count(*) FROM body_table`)
		return err == nil && n == 1
	}, time.Minute, 100*time.Millisecond)
}

// wrappedDB has what a transaction does run by wrap.
type wrappedDB struct {
	sqldb.Database
	wrap func(do func() error) error
}

func (d wrappedDB) Update(ctx context.Context, need sqldb.Need, do func(sqldb.Tx, sqldb.Ready) error) error {
	return d.Database.Update(ctx, need, func(t sqldb.Tx, ready sqldb.Ready) error {
		return d.wrap(func() error { return do(t, ready) })
	})
}

// Which ids are stored stays known where a transaction that removes some is undone, or
// takes too long. Else those of the window would go, too.
func TestPrunedIDsAreCounted(t *testing.T) {
	dir := t.TempDir()
	storeIDs(t, dir, 20, appendHash(nil, hash(-1)))
	s, q := openIdle(t, Options{Dir: dir, AppendTimeout: time.Minute})
	db := s.db
	stored := func() int64 {
		n, err := s.queryInt(t.Context(), `SELECT sum(length(hashes) / 16) FROM ids`)
		require.NoError(t, err)
		return n
	}
	s.db = wrappedDB{db, func(do func() error) error { return errors.Join(do(), ErrAway) }}
	require.ErrorIs(t, s.pruneIDs(t.Context(), q, time.Now()), ErrAway)
	require.EqualValues(t, 20_000, stored())
	assert.EqualValues(t, 20_000, q.idsStored.Load())

	ctx, giveUp := context.WithCancel(t.Context())
	goOn := make(chan struct{})
	s.db = wrappedDB{db, func(do func() error) error {
		giveUp()
		<-goOn
		return do()
	}}
	require.ErrorIs(t, s.pruneIDs(ctx, q, time.Now()), ErrAway)
	close(goOn)
	require.Eventually(t, s.writer.idle, time.Minute, time.Millisecond)
	require.EqualValues(t, 15_000, stored())
	assert.EqualValues(t, 15_000, q.idsStored.Load())
	require.NoError(t, s.pruneIDs(t.Context(), q, time.Now()))
	require.EqualValues(t, 1000, stored(), "the newest row holds the window")
}

// Pruning that takes long goes on in larger transactions, or it may never catch up with
// what is appended.
func TestPruningCatchesUp(t *testing.T) {
	dir := t.TempDir()
	storeIDs(t, dir, 100, appendHash(nil, hash(-1)))
	s, q := openIdle(t, Options{Dir: dir, RetainAge: -time.Second, AppendTimeout: time.Minute})
	require.NoError(t, q.transact(t.Context(), func(c *change) error { // settled records with bodies of 100 KB
		for i := range int64(32) {
			err := errors.Join(c.Exec(`INSERT INTO record (seq, connector, received, events, pending, size, stored) VALUES ($1, $2, 0, 1, 0, 100000, 100000)`, 2000+i, q.id),
				c.Exec(`INSERT INTO body VALUES ($1, zeroblob(100000))`, 2000+i))
			if err != nil {
				return err
			}
		}
		c.of(q).sums[history] += 32 * 100_000
		return nil
	}))
	transactions := 0
	s.db = wrappedDB{s.db, func(do func() error) error {
		transactions++
		return do()
	}}
	require.NoError(t, s.prune(t.Context(), time.Now().Add(-2*time.Second)))
	for _, left := range []string{`SELECT count(*) FROM record`, `SELECT count(*) - 1 FROM ids`} {
		n, err := s.queryInt(t.Context(), left)
		require.NoError(t, err)
		require.Zero(t, n, left)
	}
	require.LessOrEqual(t, transactions, 6, "not 11 for the records, and 21 for the ids")
}

// The bridge that prunes removes the ids that others have stored, too, also where it
// stores nothing itself.
func TestIDsOfOtherBridgesArePruned(t *testing.T) {
	opts := Options{URL: pgtest.Start(t, "fsync=off").Database(t)}
	s, q := openIdle(t, opts)
	_, other := openIdle(t, opts)
	const size = 1000
	for i := range 12 {
		b := Batch{Body: []byte(`{}`)}
		for j := range size {
			b.Items = append(b.Items, Item{End: 2, ID: hash(i*size + j)})
		}
		_, err := other.Append(t.Context(), b)
		require.NoError(t, err)
	}
	require.NoError(t, s.db.(*postgres.DB).Renew(t.Context(), false)) // now it prunes
	require.NoError(t, s.prune(t.Context(), time.Now()))
	left, err := q.store.queryInt(t.Context(), `SELECT CAST(sum(length(hashes) / 16) AS BIGINT) FROM ids`)
	require.NoError(t, err)
	require.Equal(t, int64(size), left, "the newest row holds the window")
}

func hash(i int) Hash {
	return HashType(nil).Event(fmt.Appendf(nil, "event-%d", i))
}
