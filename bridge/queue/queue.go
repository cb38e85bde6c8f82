// Package queue is the durable queue between the bridge's intake and its
// delivery: one queue for each connector, with its ledger, dead letters and
// history, in SQLite (one file, one bridge) or PostgreSQL (several bridges).
//
// There is one rule above all: what Append has returned without an error is on
// disk.
//
// A batch of Braze is a record; small ones of one commit share one. Its small
// state is a row of the table record, its bytes a row of the table body, which
// nothing but an erasure changes. One writer commits whatever appends and
// settlements are waiting in one transaction (writer.go). What a dialect of SQL
// does is in internal/sqlite and internal/postgres, the tables in internal/sqldb.
package queue

import (
	"time"

	"github.com/zeebo/xxh3"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
)

// Errors that a caller decides on; compare with errors.Is.
var (
	// ErrFull means that the store has no room for a new batch. Nothing was
	// stored; the sender should try again later.
	ErrFull error = sqldb.ErrFull
	// ErrTooLarge means that one event, or all of the batch together, is larger
	// than the store can keep. Nothing of the batch was stored, and sending it
	// again changes nothing.
	ErrTooLarge error = sqldb.ErrTooLarge
	// ErrAway means that the storage does not answer: the database cannot be
	// reached, or a commit does not come. What it was about may or may not be
	// stored; try again later.
	ErrAway error = sqldb.ErrAway
	// ErrFailed means that a write to disk failed. What it was about may or may
	// not be on disk, so it must not be acknowledged. The store takes nothing
	// more until it is opened again; Usage().Err says what happened.
	ErrFailed error = sqldb.ErrFailed
	// ErrNotHeld means that a record is not claimed, or has no such event.
	// Nothing was stored.
	ErrNotHeld error = sqldb.Error("record is not claimed")
	// ErrClosed means that the store is closed or closing.
	ErrClosed error = sqldb.ErrClosed
	// ErrLocked means that another process has the data directory open.
	ErrLocked error = sqldb.ErrLocked
	// ErrDamaged means that the disk does not hold what was written to it. The
	// error names the file and says what can be done.
	ErrDamaged error = sqldb.ErrDamaged
	// ErrReplaying means that a replay of history is active already.
	ErrReplaying error = sqldb.Error("a replay of history is active")
	// ErrNewerFormat means that a newer version of the bridge wrote the store.
	ErrNewerFormat error = sqldb.ErrNewerFormat
)

// DefaultWindow is the usual number of event ids that a queue remembers. A full window
// of that size takes about 33 MB of memory.
const DefaultWindow = 1_000_000

// Usage is a store's use of its disk, in bytes. Zero means unknown.
type Usage struct {
	Bytes    int64     // what the store's files take
	Free     int64     // what the file system still has
	Limit    int64     // what the store may take; 0: all there is
	Full     bool      // new batches are rejected
	Damaged  int       // records and dead letters found since the start that cannot be read
	Scrubbed time.Time // when everything was last read from end to end; zero: not yet
	Err      error     // wraps ErrFailed: nothing can be stored any more; nil: all is well
	// Away says why nothing can be stored now: the database does not answer, or
	// a commit does not come. It ends by itself; nil: all is well.
	Away error
}

// Batch is what one request of Braze brought.
type Batch struct {
	// Body holds the bytes that Items point into. The queue copies what it
	// keeps before it waits.
	Body       []byte
	Items      []Item
	ReceivedAt time.Time // zero: now
	// Backfilled says that the events come out of storage exports. They count
	// as accepted, and as backfilled beside.
	Backfilled bool
}

// Item is one element of a batch's events.
type Item struct {
	Start, End int  // the event is Body[Start:End]
	ID         Hash // of the event's type and id; zero: it has no usable id
	Fate       Fate // Pending, or Filtered or Dead where that is known at once
	Reason     string
	Count      int // consecutive elements of which only the first's bytes are kept; 0 means 1
}

func (i Item) count() int { return max(i.Count, 1) }

// Hash is a 128-bit hash of an event's type and id. The zero Hash stands for no
// id.
type Hash [2]uint64

// TypeHash is a hash of an event type, for the hashes of events of this type.
type TypeHash [16]byte

// HashType hashes an event type, given as text with JSON escapes undone.
func HashType(eventType []byte) TypeHash { return xxh3.Hash128(eventType).Bytes() }

// Event hashes an event's type and id together, the id as text with JSON escapes
// undone: Braze's samples and tests repeat one id across types. It is XXH3, which is
// fast and not cryptographic: a sender that could make two events collide has the
// connector's token, and could just as well send the same id twice.
func (t TypeHash) Event(id []byte) Hash {
	var stack [256]byte
	sum := xxh3.Hash128(append(append(stack[:0], t[:]...), id...))
	return Hash{sum.Lo, sum.Hi}
}

// Fate is what becomes of an event.
type Fate uint8

// The fates of an event.
const (
	Pending   Fate = iota // waits for delivery
	Delivered             // RudderStack answered 2XX
	Filtered              // the connector's rules leave it out
	Dead                  // cannot be delivered; kept in the dead letters
)

// Receipt says what Append did, in events. Accepted includes Filtered and Dead.
type Receipt struct {
	Accepted, Duplicates, Filtered, Dead int
}

// Limit bounds what one Claim hands out. At least one record is handed out even
// if it is larger than the limit.
type Limit struct {
	Events int
	Bytes  int // of the events as they came
}

// Record is what is still pending of one stored batch.
type Record struct {
	Seq        uint64 // number of the record, never used again
	ReceivedAt time.Time
	Events     []Event
	// Origin names the record for ever: a messageId is made from it where Braze
	// gave no id.
	Origin string

	bytes *[]byte // what the events share
}

// Event is one event of a record. Its bytes stay valid until the record is
// released.
type Event struct {
	Index int    // place among the record's stored events, from 0
	Raw   []byte // the event as Braze sent it
}

// Span names the events First to Last (both included) of a record.
type Span struct {
	Seq         uint64
	First, Last int
}

// Settlement is the outcome of one request, over one or more records.
type Settlement struct {
	Delivered []Span
	Filtered  []Span
	Dead      []DeadEvent
}

// DeadEvent is an event that goes to the dead letters, and why.
type DeadEvent struct {
	Seq      uint64
	Index    int
	Reason   string // a short word, such as refused or no_identity
	Status   int    // of RudderStack's response; 0: it was never sent
	Answer   string // RudderStack's words
	Attempts int
}

// MaxAnswer is how much of a reason or of RudderStack's words a dead letter
// keeps, in bytes.
const MaxAnswer = 4096

// ReasonDamaged is the reason of dead letters whose bytes cannot be read, or are not
// what was written.
const ReasonDamaged = "damaged"

// DeadLetter is a dead event as it is kept.
type DeadLetter struct {
	Number     uint64    `json:"number"` // never used again
	ReceivedAt time.Time `json:"received_at"`
	DiedAt     time.Time `json:"died_at"`
	Reason     string    `json:"reason"`
	Status     int       `json:"status,omitempty"`
	Answer     string    `json:"answer,omitempty"`
	Attempts   int       `json:"attempts,omitempty"`
	// Events is how many events the letter stands for: more than one where
	// elements that can never be delivered came in a run, or where a damaged
	// record held so many.
	Events int `json:"events"`
	Description
	// Altered says that the bytes do not match their checksum: they are kept to be looked
	// at, and no replay takes them.
	Altered bool `json:"altered,omitempty"`
	// Unreadable says that the disk does not give the bytes back now. Such a letter can
	// be neither replayed nor purged; the next start keeps what can be read.
	Unreadable bool   `json:"unreadable,omitempty"`
	Event      []byte `json:"-"` // the original bytes; nil: they cannot be read
}

// Description is what a dead letter can be found by.
type Description struct {
	EventType      string `json:"event_type,omitempty"`
	EventID        string `json:"event_id,omitempty"`
	UserID         string `json:"user_id,omitempty"`
	ExternalUserID string `json:"external_user_id,omitempty"`
}

// LetterFilter chooses dead letters; its zero value is all of them.
type LetterFilter struct {
	Numbers      []uint64 // only these; nil: any
	After, Last  uint64   // numbers beyond After, up to and including Last; 0: no bound
	Reason       string
	Type         string // a pattern of event types, as in path.Match
	User         string // external user id or Braze's user id
	Since, Until time.Time
	Limit        int // at most so many; 0: a thousand
}

// LetterGroup is a line of a summary of dead letters.
type LetterGroup struct {
	Reason    string    `json:"reason"`
	EventType string    `json:"event_type,omitempty"`
	Events    uint64    `json:"events"`
	Letters   uint64    `json:"letters"`
	First     uint64    `json:"first"` // number of the oldest
	Last      uint64    `json:"last"`
	DiedAt    time.Time `json:"died_at"` // when the newest died
}

// ReplayOrder chooses events of history to be delivered again.
type ReplayOrder struct {
	// From and Till are when the record was received; Till is not included.
	// Zero is no bound.
	From  time.Time `json:"from,omitzero"`
	Till  time.Time `json:"till,omitzero"`
	Types []string  `json:"types,omitempty"` // patterns of event types, as in path.Match; none: all
	Rate  float64   `json:"rate,omitempty"`  // events a second; 0: as fast as it goes
}

// Replay is an order and how far it has come.
type Replay struct {
	Number    uint64 // from 1; 0: there is no replay
	Order     ReplayOrder
	StartedAt time.Time
	EndedAt   time.Time // zero: it is active
	Next      uint64    // number of the record that it goes on with
	Position  time.Time // when that was received; zero: it has ended, or nothing is left
	Replayed  uint64    // events that were delivered again
	Refused   uint64    // events that the destination refused this time
	Skipped   uint64    // events that the order or the connector's rules leave out
}

// Active tells whether the replay has not ended.
func (r Replay) Active() bool { return r.Number > 0 && r.EndedAt.IsZero() }

// ReplayProgress is what came of records of a replay. Replayed is added to the
// ledger too.
type ReplayProgress struct {
	Number                     uint64 // of the replay
	Next                       uint64 // the record to go on with
	Replayed, Refused, Skipped uint64
	End                        bool // nothing is left
}

// Erasure says what Erase did, in events.
type Erasure struct {
	History int // removed from history
	Dead    int // letters removed, and purged
	Pending int // left, because they wait for delivery
	// Unreadable counts the records and letters that could not be searched, because they
	// are not what was written. Events that match may be left in them.
	Unreadable int
}

// Ledger counts events over the lifetime of the store. At every moment
// Received = Duplicates + Accepted, and
// Accepted = Filtered + Delivered + Dead + Purged + Pending.
type Ledger struct {
	Received, Duplicates, Accepted    uint64
	Filtered, Delivered, Dead, Purged uint64
	Replayed, Backfilled              uint64
	OldestPending                     time.Time // zero: nothing is pending
}

// Pending is the number of accepted events without an outcome.
func (l Ledger) Pending() uint64 {
	return l.Accepted - l.Filtered - l.Delivered - l.Dead - l.Purged
}
