// Package queue is the contract between the bridge's intake and its delivery:
// a durable queue of Braze batches, one for each connector, with the ledger,
// the dead letters and the history that belong to it.
//
// There is one rule above all: what Append has returned without an error is on
// disk. Every store that implements Store must pass queuetest.Run.
package queue

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"
)

// Errors that a caller decides on; compare with errors.Is.
var (
	// ErrFull means that the store has no room for a new batch. Nothing was
	// stored; the sender should come again later.
	ErrFull = errors.New("queue is full")
	// ErrTooLarge means that one event alone is larger than the store can keep.
	// Nothing of the batch was stored, and sending it again changes nothing.
	ErrTooLarge = errors.New("event is larger than the queue can keep")
	// ErrFailed means that a write to disk failed. What it was about may or may
	// not be on disk, so nobody may be told that it is. The store takes nothing
	// more until it is opened anew; Usage().Err says what happened.
	ErrFailed = errors.New("queue's storage has failed")
	// ErrNotHeld means that a Settlement names a record that is not handed out,
	// or an event that the record does not have. Nothing of it was stored.
	ErrNotHeld = errors.New("record is not handed out")
	// ErrAway means that the database does not answer. Nothing was stored; the
	// sender should retry later.
	ErrAway = errors.New("queue's database does not answer")
	// ErrClosed means that the store is closed or closing.
	ErrClosed = errors.New("queue is closed")
	// ErrLocked means that another process has the data directory open.
	ErrLocked = errors.New("data directory is in use by another process")
	// ErrDamaged means that the disk does not hold what was written to it. The
	// error names the file; "bridge repair" sets aside what cannot be read.
	ErrDamaged = errors.New("data on disk is damaged")
	// ErrReplaying means that a replay of history is under way already.
	ErrReplaying = errors.New("a replay of history is under way")
	// ErrNewerFormat means that a newer version of the bridge wrote the data directory.
	ErrNewerFormat = errors.New("data directory was written by a newer version")
)

// Store keeps the queues of all connectors. It is safe for concurrent use.
type Store interface {
	// Open returns the queue of the connector called name and creates it at
	// first use. A second call with the same name returns the same queue.
	// window is the number of event ids remembered to catch duplicates; with 0
	// only repeats within one batch are caught.
	Open(ctx context.Context, name string, window int) (Queue, error)
	// Connectors lists the names of all queues that there are, opened or not, in
	// the order of their bytes.
	Connectors(ctx context.Context) ([]string, error)
	// Usage reports how much disk the store takes and how much it may take.
	Usage() Usage
	// Close waits for commits under way and releases the store.
	Close() error
}

// DefaultWindow is the number of event ids that a queue remembers unless it is
// told otherwise. A full window of that size takes about 33 MB of memory.
const DefaultWindow = 1_000_000

// Usage is a store's use of its disk, in bytes. Zero means unknown.
type Usage struct {
	Bytes    int64     // what the store's files take
	Free     int64     // what the file system still has
	Full     bool      // new batches are being refused
	Damaged  int       // places on disk found since the start that cannot be read; records among them stay pending
	Scrubbed time.Time // when everything was last read from end to end; zero: not yet
	Err      error     // wraps ErrFailed: nothing can be stored any more; nil: all is well
	// Away says why nothing can be stored now, where the store is on other
	// machines that do not answer. It ends by itself once they do; nil: they do.
	Away error
}

// Queue is one connector's queue. It is safe for concurrent use.
type Queue interface {
	// Append stores a batch and returns once it is on disk. Items whose id is
	// in the window, or earlier in the same batch, are duplicates and are not
	// stored again; Append returns only once their first copy is on disk too.
	// On an error nothing of the batch counts and its ids are not remembered,
	// but after ErrFailed the next start decides: what reached the disk counts.
	// A batch without items changes nothing.
	Append(ctx context.Context, b Batch) (Receipt, error)
	// Fetch hands out pending events, oldest first, that are not handed out
	// already. It waits until there is at least one event or ctx ends.
	// Each record goes back with Settle or Release.
	// With the store's end it returns ErrClosed.
	Fetch(ctx context.Context, limit Limit) ([]*Record, error)
	// Settle stores outcomes in one commit and returns once they are on disk.
	// Events of a fetched record that no Settlement has named stay handed out.
	// The records that it names must be handed out and not released, else it
	// fails with ErrNotHeld. An event that has an outcome keeps it: naming it
	// again, in the same Settlement or a later one, counts nothing (of one
	// Settlement, Delivered goes before Filtered before Dead). ErrFull means
	// that the disk has no room left even for outcomes: nothing was stored,
	// come again with the same Settlement.
	Settle(ctx context.Context, s Settlement) error
	// Release gives back what is not settled of the records; it will be
	// fetched again, before what came later. The records and their bytes must
	// not be used afterwards. It must be called once for every fetched record,
	// settled or not; it never blocks and may be called after Close.
	Release(records ...*Record)
	// Ledger returns the totals; they are consistent with each other.
	Ledger() Ledger
	// Dead lists dead letters, oldest first, after the given number: at most
	// limit of them and fewer where they are large, but none only at the end.
	Dead(ctx context.Context, after uint64, limit int) ([]DeadLetter, error)
	// ReplayDead moves the dead letters with these numbers back to pending, as
	// new records, and returns how many there were. Numbers that do not exist
	// (any more) are passed over. Each letter moves in one commit: it is either
	// dead or pending at every moment.
	ReplayDead(ctx context.Context, numbers ...uint64) (int, error)
	// PurgeDead removes dead letters for good and returns how many there were.
	PurgeDead(ctx context.Context, numbers ...uint64) (int, error)
	// StartReplay stores an order to deliver history again and returns it. It
	// outlives crashes: the next start goes on where the last SettleReplay
	// left it. There is one at a time, else the error is ErrReplaying. Records
	// that are stored later than the order are no part of it. A replay does
	// not keep history from being given up. Like Settle, it may return ErrFull,
	// as may EndReplay, SettleReplay and Erase: come again with the same.
	StartReplay(ctx context.Context, order ReplayOrder) (Replay, error)
	// EndReplay ends the replay with this number, if it is under way.
	EndReplay(ctx context.Context, number uint64) error
	// Replay returns the newest replay, under way or ended; its zero value
	// where there was none.
	Replay(ctx context.Context) (Replay, error)
	// FetchReplay waits for a replay to be under way and returns its next
	// records, in the order in which they came: of each the events that were
	// delivered, and only records of the order's time. What was filtered, died,
	// or was erased is left out. So is what is pending: a record of which a part
	// is pending gives what was delivered of it by now. They are read, not
	// handed out: they need no Settle and no Release, and asking again gives
	// the same until SettleReplay, but for what was delivered or given up
	// meanwhile. At least one record is returned even if it is larger than the
	// limit. Without a record the replay has come to its end; say so with
	// SettleReplay. With the store's end it returns ErrClosed.
	FetchReplay(ctx context.Context, limit Limit) (Replay, []*Record, error)
	// SettleReplay stores how far a replay has come, and returns once that is on
	// disk. Each call that returns without an error counts once. Progress of a
	// replay that is not under way any more changes nothing but the ledger's
	// Replayed.
	SettleReplay(ctx context.Context, p ReplayProgress) error
	// Erase removes the events that match from history and from the dead
	// letters, bytes and all: once it has returned, they are in none of the
	// store's files. History is every event that has an outcome, whatever that
	// is, also one of a record of which a part is pending: an event that died
	// lies there too, beside its letter. Letters count as purged, all else in
	// the ledger stays; ids stay in the window. Events that are pending or
	// handed out stay and are counted. match is called from one goroutine at a
	// time and must not keep the event. What was erased when it fails half-way
	// is erased; asking again does the rest.
	Erase(ctx context.Context, match func(event []byte) bool) (Erasure, error)
}

// ReplayOrder chooses events of history to be delivered again.
type ReplayOrder struct {
	// From and Till are when the record was received; Till is not included.
	// Zero is no bound. Records may be stored an hour out of that order.
	From, Till time.Time
	Types      []string // patterns of event types, as in path.Match; none: all
	Rate       float64  // events a second; 0: as fast as it goes
}

// Replay is an order and how far it has come.
type Replay struct {
	Number    uint64 // from 1; 0: there is no replay
	Order     ReplayOrder
	StartedAt time.Time
	EndedAt   time.Time // zero: it is under way
	Next      uint64    // number of the record that it goes on with
	Replayed  uint64    // events that were delivered again
	Refused   uint64    // events that the destination refused this time
	Skipped   uint64    // events that the order or the connector's rules leave out
}

// Active tells whether the replay is under way.
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
	History int // removed from history; those that died are among them
	Dead    int // letters removed, and purged
	Pending int // left, because they wait for delivery
}

// Batch is what one request of Braze brought.
type Batch struct {
	// Body holds the bytes that Items point into. The queue does not keep it
	// after Append has returned.
	Body       []byte
	Items      []Item
	ReceivedAt time.Time // zero: now
}

// Item is one element of a batch's events.
type Item struct {
	Start, End int  // the event is Body[Start:End]
	ID         Hash // of the event's id; zero: it has none that can be used
	Fate       Fate // Pending, or Filtered or Dead where that is known at once
	Reason     string
	Count      int // consecutive elements of which only the first's bytes are kept; 0 means 1
	// Letter is for an event with the fate Dead that died in another store: when
	// it died, the answer, its status and the attempts are kept of it. Nil: it
	// dies now, unsent.
	Letter *DeadLetter
}

// Hash is a 128-bit hash of an event id. The zero Hash stands for no id.
type Hash [2]uint64

// HashID hashes an event's id, given as text with JSON escapes undone.
func HashID(id []byte) Hash {
	sum := sha256.Sum256(id)
	return Hash{binary.LittleEndian.Uint64(sum[:8]), binary.LittleEndian.Uint64(sum[8:16])}
}

// TypeHash is a hash of an event type, for the hashes of events of this type.
type TypeHash [16]byte

// HashType hashes an event type, given as text with JSON escapes undone.
func HashType(eventType []byte) TypeHash {
	sum := sha256.Sum256(eventType)
	return TypeHash(sum[:16])
}

// Event hashes an event's type and id together, the id as text with JSON escapes
// undone: Braze's samples and tests repeat one id across types. It is SHA-256, cut
// to 128 bits, so that no sender can make two events collide.
func (t TypeHash) Event(id []byte) Hash {
	var stack [256]byte
	sum := sha256.Sum256(append(append(stack[:0], t[:]...), id...))
	return Hash{binary.LittleEndian.Uint64(sum[:8]), binary.LittleEndian.Uint64(sum[8:16])}
}

// HashEvent is HashType(eventType).Event(id).
func HashEvent(eventType, id []byte) Hash { return HashType(eventType).Event(id) }

// Fate is what becomes of an event.
type Fate uint8

const (
	Pending   Fate = iota // waits for delivery
	Delivered             // RudderStack answered 2XX
	Filtered              // the connector is told not to deliver it
	Dead                  // cannot be delivered; kept in the dead letters
)

// Receipt says what Append did, in events. Accepted includes Filtered and Dead.
type Receipt struct {
	Accepted, Duplicates, Filtered, Dead int
}

// Limit bounds what one Fetch hands out. At least one record is handed out
// even if it is larger than the limit.
type Limit struct {
	Events int
	Bytes  int // of the events as they came
}

// Record is what is still pending of one stored batch.
type Record struct {
	Seq        uint64 // number of the record in its queue, from 1, never used again
	ReceivedAt time.Time
	Events     []Event

	// Origin names the record for ever, across stores and connectors: a
	// messageId is made from it where Braze gave no id.
	Origin string
	// Store is for the store that made the record; others leave it alone.
	Store any
}

// Event is one pending event of a record.
type Event struct {
	Index int    // place among the record's stored events, from 0
	Raw   []byte // the event as Braze sent it; valid until the record is released
}

// Span names the events First to Last (both included) of a record.
type Span struct {
	Seq         uint64
	First, Last int
}

// Settlement is the outcome of one POST, over one or more records.
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
	Status   int    // RudderStack's answer; 0: it was never sent
	Answer   string // RudderStack's words
	Attempts int
}

// MaxAnswer is how much of a reason or of RudderStack's words a dead letter
// keeps, in bytes.
const MaxAnswer = 4096

// DeadLetter is a dead event as it is kept.
type DeadLetter struct {
	Number     uint64    `json:"number"` // from 1, never used again
	ReceivedAt time.Time `json:"received_at"`
	DiedAt     time.Time `json:"died_at"`
	Reason     string    `json:"reason"`
	Status     int       `json:"status,omitempty"`
	Answer     string    `json:"answer,omitempty"`
	Attempts   int       `json:"attempts,omitempty"`
	Event      []byte    `json:"-"` // the original bytes
}

// Ledger counts events over the lifetime of the store. At every moment
// Received = Duplicates + Accepted, and
// Accepted = Filtered + Delivered + Dead + Purged + Pending.
type Ledger struct {
	Received, Duplicates, Accepted    uint64
	Filtered, Delivered, Dead, Purged uint64
	Replayed                          uint64
	OldestPending                     time.Time // zero: nothing is pending
}

// Pending is the number of accepted events without an outcome.
func (l Ledger) Pending() uint64 {
	return l.Accepted - l.Filtered - l.Delivered - l.Dead - l.Purged
}
