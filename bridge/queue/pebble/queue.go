package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
	"github.com/currentsbridge/currentsbridge/bridge/queue/window"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// connQueue is the queue of one connector.
//
// Two locks: commitMu puts the commits in order. Who holds it changes the state,
// hands the commit to Pebble's log and lets go; it waits for the fsync without
// the lock, together with the others. As the log is in the order of the lock,
// an fsync that covers a commit covers all before it, and so what a commit
// relied on, such as the first copy of a duplicate. mu guards what is known to
// be on disk and what is handed out. commitMu is taken before mu.
type connQueue struct {
	store  *Store
	conn   uint32
	name   string
	opened time.Time
	origin string // what all origins of this queue's records begin with

	commitMu sync.Mutex
	ids      *window.Window // nil: the queue is not open
	idMarks  idMarks
	version  uint64 // counts commits
	scratch  []byte
	state    state // changed under both locks, read under either

	mu       sync.Mutex
	durable  totals // as of the newest commit that is on disk
	synced   uint64 // version of that commit
	cursor   uint64 // no record from here on was handed out since the start
	returned returned
	held     map[uint64]*lease
	partial  map[uint64]wire.Bitset // outcomes of records that have some and are not held
	news     chan struct{}          // closed when there may be something to fetch; nil: nobody waits
	oldest   oldest

	history history // the store's upkeep only

	replayMu sync.Mutex    // held while the replay is changed, until that is on disk
	replay   wire.Replay   // the newest, as it is on disk; changed under replayMu and mu
	orders   chan struct{} // closed when a replay begins; nil: nobody waits; under mu

	rewriteMu sync.Mutex // keeps history from being cut while records are rewritten; the last to be taken
}

// oldest remembers when the record at the low mark was received.
type oldest struct {
	seq uint64
	at  time.Time
}

// openQueue reads what upkeep needs to look after the queue's history. wake
// makes it ready for the rest.
func openQueue(s *Store, conn uint32, name string) (*connQueue, error) {
	q := &connQueue{
		store: s, conn: conn, name: name, opened: s.opts.Now(),
		origin:  s.id + "." + strconv.FormatUint(uint64(conn), 36) + ".",
		state:   newState(),
		held:    map[uint64]*lease{},
		partial: map[uint64]wire.Bitset{},
	}
	value, err := s.get(connKey(keyState, conn))
	if err != nil {
		return nil, err
	}
	if value != nil {
		if q.state, err = parseState(value); err != nil {
			return nil, fmt.Errorf("totals: %w", err)
		}
	}
	q.durable = q.state.totals
	q.cursor = q.state.low
	return q, q.loadHistory()
}

// wake reads the rest of what a queue needs to be used.
func (q *connQueue) wake(limit int) error {
	clear(q.partial)
	if err := errors.Join(q.loadPartial(), q.loadReplay()); err != nil {
		return err
	}
	q.commitMu.Lock() // upkeep looks at the ids
	defer q.commitMu.Unlock()
	q.ids, q.idMarks = window.New(limit), newIDMarks(limit)
	crashpoint.At("start.before-ids")
	if err := q.loadIDs(limit); err != nil {
		q.ids = nil
		return err
	}
	crashpoint.At("start.loaded")
	return nil
}

// scan returns an iterator over the keys of one kind of this connector.
func (q *connQueue) scan(kind byte, from, to uint64) (*pebble.Iterator, error) {
	it, err := q.store.db.NewIter(&pebble.IterOptions{
		LowerBound: seqKey(kind, q.conn, from),
		UpperBound: seqKey(kind, q.conn, to),
	})
	if err != nil {
		return nil, fmt.Errorf("scan %c: %w", kind, err)
	}
	return it, nil
}

// end is above all numbers that are ever used.
const end = ^uint64(0)

// loadPartial reads the outcomes of records that were not done. There are no
// more of them than were handed out at one time.
func (q *connQueue) loadPartial() error {
	it, err := q.scan(keyPartial, 0, end)
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if seq, ok := seqOf(it.Key()); ok {
			q.partial[seq] = parseBitset(it.Value())
		}
	}
	return errors.Join(it.Error(), it.Close())
}

// loadIDs fills the window with the newest ids. It finds the record to begin
// with from the back, so that it reads no more than it needs.
func (q *connQueue) loadIDs(limit int) error {
	from, err := q.oldestID(limit)
	if err != nil {
		return err
	}
	err = q.each(context.Background(), keyIDs, from, end, "ids cannot be read: repeats of these events are not caught", func(seq uint64, value []byte) error {
		q.idMarks.add(q.ids.Next(), seq)
		for ids := value; len(ids) >= idSize; ids = ids[idSize:] {
			q.ids.Add(queue.Hash{binary.LittleEndian.Uint64(ids), binary.LittleEndian.Uint64(ids[8:])})
		}
		q.ids.Trim()
		return nil
	})
	q.ids.Trim()
	return err
}

// oldestID returns the record whose ids, with all that follow, fill the window;
// 0 where there are fewer, or it is not known.
func (q *connQueue) oldestID(limit int) (uint64, error) {
	it, err := q.scan(keyIDs, 0, end)
	if err != nil {
		return 0, err
	}
	found, oldest := 0, uint64(0)
	for ok := it.Last(); ok && found < limit; ok = it.Prev() {
		oldest, _ = seqOf(it.Key())
		found += len(it.Value()) / idSize
	}
	err = errors.Join(it.Error(), it.Close())
	if isDamage(err) {
		return 0, nil
	}
	return oldest, err
}

// ticket is a commit that is on its way to disk.
type ticket struct {
	batch   *pebble.Batch
	version uint64
	totals  totals
}

// commit adds the state to b and hands it to the log. commitMu must be held.
func (q *connQueue) commit(b *pebble.Batch) (ticket, error) {
	if f := q.store.failure.Load(); f != nil {
		return ticket{}, f.err
	}
	q.scratch = q.state.append(q.scratch[:0])
	if err := b.Set(connKey(keyState, q.conn), q.scratch, nil); err != nil {
		return ticket{}, q.store.fail(err)
	}
	q.store.disk.wrote(b.Len())
	if err := q.store.db.ApplyNoSyncWait(b, pebble.Sync); err != nil {
		return ticket{}, q.store.fail(err)
	}
	q.version++
	return ticket{batch: b, version: q.version, totals: q.state.totals}, nil
}

// wait returns once the commit is on disk, and makes it known. No lock is held.
func (q *connQueue) wait(t ticket) error {
	if err := t.batch.SyncWait(); err != nil {
		return q.store.fail(err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.version > q.synced {
		q.synced, q.durable = t.version, t.totals
		q.tell()
	}
	return t.batch.Close()
}

// tell wakes up who waits in Fetch. mu must be held.
func (q *connQueue) tell() {
	if q.news != nil {
		close(q.news)
		q.news = nil
	}
}

// Ledger implements queue.Queue. It shows what is on disk.
func (q *connQueue) Ledger() queue.Ledger {
	open := q.store.enterToRead() == nil
	if open {
		defer q.store.leave()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.durable.ledger
	if q.durable.low < q.durable.next {
		l.OldestPending = q.receivedAt(q.durable.low, open)
	}
	return l
}

// receivedAt returns when the record was received: from memory where it is
// handed out or was asked for before, else from the store if that is open. A
// record that cannot be read counts from when the queue was opened. mu must be
// held.
func (q *connQueue) receivedAt(seq uint64, open bool) time.Time {
	if l := q.held[seq]; l != nil && !l.received.IsZero() {
		q.oldest = oldest{seq, l.received}
	}
	if q.oldest.seq == seq || !open {
		return q.oldest.at
	}
	q.oldest = oldest{seq, q.opened}
	value, closer, err := q.store.lookup(seqKey(keyRecord, q.conn, seq))
	if err != nil { // it is reported when it is fetched
		return q.oldest.at
	}
	defer closer.Close()
	if at, err := receivedAt(value); err == nil {
		q.oldest.at = at
	}
	return q.oldest.at
}
