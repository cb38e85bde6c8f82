package queue

import (
	"context"
	_ "embed"
	"errors"
)

//go:embed sqlite.sql
var sqliteSchema string

//go:embed postgres.sql
var postgresSchema string

// formatVersion is the version of the tables. A store with a higher one was
// written by a newer bridge and is not opened.
const formatVersion = 1

// database is one of the two dialects. All SQL that both share stands beside the
// code that runs it, with ? for parameters.
type database interface {
	// update runs do in one transaction and returns once it is durable. Only the
	// writer calls it, one call at a time. An error of do, or of the database,
	// undoes everything.
	update(ctx context.Context, need prepare, do func(tx, *prepared) error) error
	// view runs do in a transaction that only reads. Calls run beside each other
	// and beside update.
	view(ctx context.Context, do func(tx) error) error
	// claim hands up to limit records of a connector to this bridge, oldest
	// first, beyond the record after.
	claim(ctx context.Context, connector int64, from lane, after int64, limit int) ([]claimed, error)
	// body returns the table that holds the body of a record.
	body(seq int64) string
	// prunes tells whether this bridge removes old records: of those that share
	// a store only one does.
	prunes() bool
	// upkeep is called about once a second beside the writer.
	upkeep(ctx context.Context, w *writer) error
	// size returns the bytes that the store takes, and the free and all bytes of
	// its disk; free is -1 where that is unknown. It never waits.
	size() (used, free, total int64)
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
	// query runs a statement and passes its rows to each.
	query(sql string, each func(row) error, args ...any) error
}

// row is a row of a result. scan fills *int64, *string, *[]byte and *float64;
// NULL becomes the zero value.
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
	seqs  []int64
	lost  map[int64]bool // of held: another bridge has them by now
	known []bool         // of content: stored before
	ids   []foreignIDs   // ids that other bridges have stored since the last time
}

type foreignIDs struct {
	connector int64
	seq       int64
	hashes    []byte
}

// claimed is a record as claim returns it.
type claimed struct {
	seq, received, events, size, stored int64
	outcome                             []byte // nil: all events are pending
	lane                                lane
}

// one runs a query that returns one number; 0 without a row.
func one(t tx, sql string, args ...any) (n int64, err error) {
	err = t.query(sql, func(r row) error { return r.scan(&n) }, args...)
	return n, err
}
