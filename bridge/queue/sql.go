package queue

import (
	"context"
	_ "embed"
	"errors"
	"slices"
	"strconv"
	"strings"
)

//go:embed schema.sql
var schema string

//go:embed postgres.sql
var postgresSchema string

// formatVersion is the version of the tables. A store with a higher one was
// written by a newer bridge and is not opened.
const formatVersion = 1

// database is one of the two dialects. All SQL that both share stands beside the
// code that runs it, with $1, $2 … for parameters, in the order of their numbers.
type database interface {
	// update runs do in one transaction and returns once it is durable. Only the
	// writer calls it, one call at a time. An error of do, or of the database,
	// undoes everything.
	update(ctx context.Context, need prepare, do func(tx, *prepared) error) error
	// view runs do in a transaction that only reads. Calls run beside each other
	// and beside update.
	view(ctx context.Context, do func(tx) error) error
	// claim hands up to limit records of a queue to this bridge, oldest first,
	// beyond the record after. A queue claims one at a time.
	claim(ctx context.Context, q *Queue, from stream, after int64, limit int) ([]recordState, error)
	// body returns the table that holds the body of a record.
	body(seq int64) string
	// in makes the condition that a column is one of a list, which is a parameter.
	in(param string) string
	// ledgerRow names the row of a ledger that the commit with this number adds to.
	ledgerRow(commit int) string
	// prunes tells whether this bridge removes old records: of those that share
	// a store only one does.
	prunes() bool
	// ownReplay makes a replay this bridge's own, unless another one has it.
	ownReplay(ctx context.Context, number int64) (bool, error)
	// maintain is called about once a second beside the writer.
	maintain(ctx context.Context, w *writer) error
	// wipe makes sure that what was deleted is in no file any more.
	wipe(ctx context.Context) error
	// size returns the bytes that the store takes, those that are free in its
	// file and to be given back, and the free and all bytes of its disk; free is
	// -1 where that is unknown. It never waits.
	size() (used, spare, free, total int64)
	// retryable tells an error of update after which it may be called again at once.
	retryable(err error) bool
	// corrupt tells an error that means that stored data cannot be read.
	corrupt(err error) bool
	// classify makes one of this package's errors of what the database said.
	classify(err error) error
	close(ctx context.Context) error
}

// tx is a transaction. Rows are passed to each one by one; what a row's scan
// fills, byte slices included, belongs to the caller.
type tx interface {
	// exec runs a statement that returns no rows. An error may come only with
	// the commit.
	exec(sql string, args ...any) error
	// query runs a statement and passes its rows to each, which may end it with
	// errStop.
	query(sql string, each func(row) error, args ...any) error
}

// row is a row of a result. Parameters are int64, string, []byte, []int64 and nil.
// scan fills *int64, *uint64, *int, *string and *[]byte; NULL becomes the zero
// value.
type row interface {
	scan(to ...any) error
}

// errStop ends a query early without an error.
var errStop = errors.New("enough rows")

// prepare is what a transaction needs before it begins to write.
type prepare struct {
	records int       // sequence numbers to be drawn
	held    []int64   // records that must be claimed by this bridge
	content []content // unique hashes of batches
}

// content is the hash of a batch, by which a batch that Braze sends again to
// another bridge is found.
type content struct {
	connector int64
	hash      []byte
}

// prepared is the answer to prepare.
type prepared struct {
	seqs []int64
	lost map[int64]bool // of held: another bridge has them by now
	// stored is what the database has of held, where that can be more than this
	// bridge knows: the answer to a commit that was made can be lost.
	stored map[int64]recordState
	known  []bool // of content, and in do of that of its operation: stored before
}

// recordState is a row of record.
type recordState struct {
	seq, received, events, pending, size, stored int64
	outcome                                      []byte // nil: all events are pending, or all are delivered

	stream stream

	fresh eventList // of a record that was stored just now; empty: they have to be read
}

const recordColumns = "seq, received, events, pending, size, stored, outcome, backfilled"

func scanRecord(r row) (s recordState, err error) {
	var from int64
	err = r.scan(&s.seq, &s.received, &s.events, &s.pending, &s.size, &s.stored, &s.outcome, &from)
	s.stream = stream(from)
	return s, err
}

// insert makes the statement that inserts a row with these columns.
func insert(table, columns string) string {
	marks := make([]string, strings.Count(columns, ",")+1)
	for i := range marks {
		marks[i] = "$" + strconv.Itoa(i+1)
	}
	return "INSERT INTO " + table + " (" + columns + ") VALUES (" + strings.Join(marks, ", ") + ")"
}

// queryInt runs a query that returns numbers, and adds them up.
func queryInt(t tx, sql string, args ...any) (sum int64, err error) {
	err = t.query(sql, func(r row) error {
		var n int64
		err := r.scan(&n)
		sum += n
		return err
	}, args...)
	return sum, err
}

// queryInt is queryInt in a view of its own.
func (s *Store) queryInt(ctx context.Context, sql string, args ...any) (sum int64, err error) {
	err = s.db.view(ctx, func(t tx) (err error) {
		sum, err = queryInt(t, sql, args...)
		return err
	})
	return sum, s.db.classify(err)
}

// queryRows runs a query in a view of its own and returns its rows. scan may end it with
// errStop.
func queryRows[T any](ctx context.Context, db database, sql string, scan func(row) (T, error), args ...any) (all []T, err error) {
	err = db.view(ctx, func(t tx) error {
		return t.query(sql, func(r row) error {
			v, err := scan(r)
			if err == nil {
				all = append(all, v)
			}
			return err
		}, args...)
	})
	return all, db.classify(err)
}

// The columns of the ledger that are summed.
const (
	received = iota
	duplicates
	accepted
	filtered
	delivered
	dead
	purged
	replayed
	backfilled
	history
	sums // how many there are
)

// delta is what a transaction adds to a ledger, or all that is in one.
type delta [sums]int64

func (d *delta) add(other delta) {
	for i, n := range other {
		d[i] += n
	}
}

func (d *delta) pending() int64 {
	return d[accepted] - d[filtered] - d[delivered] - d[dead] - d[purged]
}

var sumLedger, addToLedger = ledgerSQL()

// ledgerSQL makes the statements that read a ledger and that add to a row of one.
func ledgerSQL() (read, add string) {
	columns := []string{"received", "duplicates", "accepted", "filtered", "delivered", "dead", "purged", "replayed", "backfilled", "history"}
	add = insert("ledger", strings.Join(columns, ", ")+", last_seq, connector, bridge") + " ON CONFLICT (connector, bridge) DO UPDATE SET "
	for i, c := range columns {
		columns[i] = "CAST(coalesce(sum(" + c + "), 0) AS BIGINT)"
		add += c + " = ledger." + c + " + excluded." + c + ", "
	}
	return "SELECT " + strings.Join(columns, ", ") + " FROM ledger WHERE connector = $1",
		add + "last_seq = CASE WHEN ledger.last_seq < excluded.last_seq THEN excluded.last_seq ELSE ledger.last_seq END"
}

func readLedger(t tx, connector int64) (d delta, err error) {
	to := make([]any, sums)
	for i := range d {
		to[i] = &d[i]
	}
	err = t.query(sumLedger, func(r row) error { return r.scan(to...) }, connector)
	return d, err
}

// anyOf tells whether an error is one of the list.
func anyOf(err error, list ...error) bool {
	return slices.ContainsFunc(list, func(e error) bool { return errors.Is(err, e) })
}
