// Package sqldb is what the queue and its two dialects of SQL share: the tables,
// what a dialect has to do, and the errors that it decides on.
package sqldb

import (
	"context"
	_ "embed"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Schema makes the tables.
//
//go:embed schema.sql
var Schema string

// FormatVersion is the version of the tables. A store with a higher one was
// written by a newer bridge and is not opened.
const FormatVersion = 1

// LateIDs is by how many numbers a row of ids may become visible late.
const LateIDs = 1000

// MinReserve is how much of a disk, in bytes, a store leaves free at the least.
const MinReserve = 24 << 20

// Database is one of the two dialects. All SQL that both share stands beside the
// code that runs it, with $1, $2 … for parameters, in the order of their numbers.
type Database interface {
	// Update runs do in one transaction and returns once it is durable. Only the
	// writer calls it, one call at a time. An error of do, or of the database,
	// undoes everything; after some of the latter do runs again at once.
	Update(ctx context.Context, need Need, do func(Tx, Ready) error) error
	// View runs do in a transaction that only reads. Calls run beside each other
	// and beside Update.
	View(ctx context.Context, do func(Tx) error) error
	// ViewUnchecked is View for values that have a checksum of their own: it reads pages
	// that do not match theirs, where one above others hides all of them.
	ViewUnchecked(do func(Tx) error) error
	// Claim hands up to limit records of a connector's stream to this bridge, oldest
	// first, beyond the record after. held lists the records that were claimed and
	// not settled yet. A connector claims one at a time.
	Claim(ctx context.Context, connector, stream, after int64, limit int, held func() []int64) ([]Record, error)
	// Floor is a record up to which everything of a connector is settled.
	Floor(connector int64) int64
	// Body returns the table that holds the body of a record.
	Body(seq int64) string
	// In makes the condition that a column is one of a list, which is a parameter.
	In(param string) string
	// Prunes tells whether this bridge removes old records: of those that share
	// a store only one does.
	Prunes() bool
	// OwnReplay makes a replay this bridge's own, unless another one has it.
	OwnReplay(ctx context.Context, number int64) (bool, error)
	// Maintain is called about once a second beside the writer. idle tells whether
	// the writer has nothing to do, and change has it run a small transaction.
	Maintain(ctx context.Context, idle func() bool, change func(do func(Tx) error) error) error
	// Wipe makes sure that what was deleted is in no file any more.
	Wipe(ctx context.Context) error
	// Size returns the bytes that the store takes, those that are free in its
	// file and to be given back, and the free and all bytes of its disk; free is
	// -1 where that is unknown. It never waits.
	Size() (used, spare, free, total int64)
	// Corrupt tells an error that means that stored data cannot be read.
	Corrupt(err error) bool
	// Classify makes an Error of what the database said.
	Classify(err error) error
	Close(ctx context.Context) error
}

// Tx is a transaction. Rows are passed to each one by one; what a row's Scan
// fills, byte slices included, belongs to the caller.
type Tx interface {
	// Exec runs a statement that returns no rows. An error may come only with
	// the commit.
	Exec(sql string, args ...any) error
	// Query runs a statement and passes its rows to each, which may end it with
	// ErrStop.
	Query(sql string, each func(Row) error, args ...any) error
}

// Row is a row of a result. Parameters are int64, string, []byte, []int64 and nil.
// Scan fills *int64, *uint64, *int, *string and *[]byte; NULL becomes the zero
// value.
type Row interface {
	Scan(to ...any) error
}

// ErrStop ends a query early without an error.
var ErrStop = errors.New("enough rows")

// Need is what a transaction needs before it begins to write.
type Need struct {
	Records int       // sequence numbers to be drawn
	Held    []int64   // records that must be claimed by this bridge
	Content []Content // unique hashes of batches
}

// Content is the hash of a batch, by which a batch that Braze sends again to
// another bridge is found.
type Content struct {
	Connector int64
	Hash      []byte
}

// Ready is the answer to a Need. SQLite, which one bridge has alone, leaves the
// fields that are about others empty.
type Ready struct {
	Seqs   []int64
	Ledger string // names the rows of ledgers that the transaction adds to
	// Held has what the database has of Need.Held, which can be more than this bridge
	// knows: the answer to a commit that was made can be lost. nil: another bridge has
	// the record by now.
	Held    map[int64]*Record
	Known   []bool // of Need.Content: stored before
	Void    bool   // other bridges may have all that was claimed by now
	Foreign []IDs  // ids that other bridges have stored
}

// IDs is a row of ids.
type IDs struct {
	Seq, Connector int64
	Hashes         []byte
}

// Record is a row of record.
type Record struct {
	Seq, Received, Events, Pending, Size, Stored int64
	Outcome                                      []byte // nil: all events are pending, or all are delivered
	Stream                                       int64  // 0: as Braze posts them; 1: backfilled
}

// RecordColumns are what ScanRecord reads.
const RecordColumns = "seq, received, events, pending, size, stored, outcome, backfilled"

// PendingInOrder chooses the records of the connector $1 beyond the record $2 that have
// something pending, in their order. Row values are compared because only record_pending
// has the order by connector and seq; the bound on connector ends the scan. In the order by
// seq alone PostgreSQL may take the primary key, and walk over other connectors' records.
const PendingInOrder = `(connector, seq) > ($1, $2) AND connector <= $1 AND pending > 0 ORDER BY connector, seq`

// ScanRecord reads a row of record.
func ScanRecord(r Row) (s Record, err error) {
	err = r.Scan(&s.Seq, &s.Received, &s.Events, &s.Pending, &s.Size, &s.Stored, &s.Outcome, &s.Stream)
	return s, err
}

// Insert makes the statement that inserts a row with these columns.
func Insert(table, columns string) string {
	marks := make([]string, strings.Count(columns, ",")+1)
	for i := range marks {
		marks[i] = "$" + strconv.Itoa(i+1)
	}
	return "INSERT INTO " + table + " (" + columns + ") VALUES (" + strings.Join(marks, ", ") + ")"
}

// QueryInt runs a query that returns numbers, and adds them up.
func QueryInt(t Tx, sql string, args ...any) (sum int64, err error) {
	err = t.Query(sql, func(r Row) error {
		var n int64
		err := r.Scan(&n)
		sum += n
		return err
	}, args...)
	return sum, err
}

// QueryRows runs a query in a view of its own and returns its rows. scan may end it with
// ErrStop.
func QueryRows[T any](ctx context.Context, db Database, sql string, scan func(Row) (T, error), args ...any) (all []T, err error) {
	err = db.View(ctx, func(t Tx) error {
		return t.Query(sql, func(r Row) error {
			v, err := scan(r)
			if err == nil {
				all = append(all, v)
			}
			return err
		}, args...)
	})
	return all, db.Classify(err)
}

// One reads a row of one column.
func One[T any](r Row) (v T, err error) {
	err = r.Scan(&v)
	return v, err
}

// Error is an error that a caller of the queue decides on; queue.go says what each
// means.
type Error string

// The errors that a dialect makes.
const (
	ErrFull        Error = "queue is full"
	ErrTooLarge    Error = "batch or event is larger than the queue can keep"
	ErrAway        Error = "queue's storage does not answer"
	ErrFailed      Error = "queue's storage has failed"
	ErrClosed      Error = "queue is closed"
	ErrLocked      Error = "data directory is in use by another process"
	ErrDamaged     Error = "data on disk is damaged"
	ErrNewerFormat Error = "store was written by a newer version"
)

func (e Error) Error() string { return string(e) }

// Own tells an error that is classified already, or that is about the caller's
// context.
func Own(err error) bool {
	_, own := errors.AsType[Error](err)
	return own || errors.Is(err, context.Canceled)
}

// AnyOf tells whether an error is one of the list.
func AnyOf(err error, list ...error) bool {
	return slices.ContainsFunc(list, func(e error) bool { return errors.Is(err, e) })
}
