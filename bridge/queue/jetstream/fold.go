package jetstream

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

// totals are what all messages of a stream up to one place come to. Every
// bridge works them out from the same messages in the same order, so all come
// to the same: an event that two bridges have settled has the outcome whose
// message was stored first.
type totals struct {
	seq       uint64 // the place
	ledger    queue.Ledger
	pending   pendings
	touched   uint64              // the newest record of which anything has an outcome
	nextDead  uint64              // number of the next dead letter
	deadBytes int64               // of the letters that there are
	gone      map[uint64]struct{} // letters that are none any more and whose messages may be there still
	replay    wire.Replay
	owner     uint64 // the bridge that works on the replay; 0: none

	ids     uint64 // that came with all records
	idMarks []mark // how many came before a record
	ages    []mark // when all before a record were done, in Unix seconds
}

// mark says something about the records before one.
type mark struct {
	seq, value uint64
}

// side is what history has to know of records beside themselves.
type side struct {
	missed    map[uint64]wire.Bitset // events of a record that is done which were not delivered
	rewritten map[uint64]uint64      // where a record lies after an erasure
	fresh     []note                 // what no segment holds yet
}

// note is one of side's entries and the place at which it came.
type note struct{ seq, at uint64 }

// fold follows a stream. It is safe for concurrent use.
type fold struct {
	bridge uint64
	now    func() time.Time

	mu        sync.Mutex
	totals    // guarded by mu, as is all that follows
	side      side
	ended     bool
	last      uint64 // the newest message that was seen
	covered   uint64 // the totals that are stored reach up to here
	stored    uint64 // where they are
	ownerSeen time.Time
	waiters   map[uint64][]chan struct{}
	orders    chan struct{} // closed with the next change of the replay
	mine      map[uint64]*uint64
}

func newFold(bridge uint64, now func() time.Time) *fold {
	return &fold{
		bridge: bridge, now: now, totals: newTotals(), side: newSide(),
		waiters: map[uint64][]chan struct{}{}, orders: make(chan struct{}), mine: map[uint64]*uint64{}, ownerSeen: time.Now(),
	}
}

func newTotals() totals { return totals{nextDead: 1, gone: map[uint64]struct{}{}} }

func newSide() side {
	return side{missed: map[uint64]wire.Bitset{}, rewritten: map[uint64]uint64{}}
}

// apply takes the message at seq into account. Messages come in order; what the
// totals hold already only adds to the pending records.
func (f *fold) apply(seq uint64, e entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.wake(seq, seq != f.last+1)
	f.last = seq
	if seq <= f.totals.seq {
		if e.kind == kindRecord && seq > f.touched {
			f.list(seq, e)
		}
		return
	}
	f.totals.seq = seq
	switch e.kind {
	case kindRecord:
		f.record(seq, e)
	case kindCounts:
		f.ledger.Received += uint64(e.duplicates)
		f.ledger.Duplicates += uint64(e.duplicates)
	case kindOutcome:
		for _, c := range e.claims {
			f.outcome(c.seq, c)
		}
	case kindLetter:
		f.deadBytes += int64(e.size)
	case kindPurged, kindRevived:
		f.letterEnds(e)
	case kindSwept:
		for _, n := range e.numbers {
			delete(f.gone, n)
		}
	case kindRewritten:
		f.side.rewritten[e.number] = seq
		f.side.fresh = append(f.side.fresh, note{e.number, seq})
	case kindTotals:
		f.covered, f.stored = e.number, seq
		f.side.fresh = slices.DeleteFunc(f.side.fresh, func(n note) bool { return n.at <= e.number })
	case kindCut:
		f.forget(e.number, e.upTo)
	case kindOrder, kindProgress, kindOwner:
		f.replays(e)
	}
}

// record counts a record and takes it into the pending ones.
func (f *fold) record(seq uint64, e entry) {
	if e.writer == f.bridge {
		if at := f.mine[e.nonce]; at != nil {
			*at = seq
		}
	}
	if e.number > 0 { // a dead letter that is pending again
		f.ledger.Dead--
	} else {
		f.ledger.Received += uint64(e.events + e.duplicates)
		f.ledger.Duplicates += uint64(e.duplicates)
		f.ledger.Accepted += uint64(e.events)
		f.mark(seq, e.events)
	}
	it := f.pending.add(item{seq: seq, received: e.received.UnixNano(), events: uint32(e.events), left: uint32(e.events), size: uint32(e.size)})
	for _, c := range e.claims {
		if f.claim(it, c, true) > 0 {
			f.touched = max(f.touched, seq)
		}
	}
	f.finish(it)
}

// list takes a record that the totals count already into the pending ones.
func (f *fold) list(seq uint64, e entry) {
	it := f.pending.add(item{seq: seq, received: e.received.UnixNano(), events: uint32(e.events), left: uint32(e.events), size: uint32(e.size)})
	for _, c := range e.claims {
		for _, r := range c.runs {
			for i := r.first; i < r.first+r.count; i++ {
				it.settle(i, false)
			}
		}
	}
	if it.left == 0 {
		f.pending.finish(it)
	}
}

// outcome counts what became of a record's events.
func (f *fold) outcome(seq uint64, c claim) {
	it := f.pending.find(seq)
	f.claim(it, c, false)
	f.touched = max(f.touched, seq)
	if it != nil {
		f.finish(it)
	}
}

// claim counts the outcomes of events that had none, and returns how many could
// not be: a letter's number was another's already, and the event stays pending.
// What a record says of its own events (own) is not noted again as missed.
func (f *fold) claim(it *item, c claim, own bool) (void int) {
	for _, r := range c.runs {
		for i := r.first; i < r.first+r.count; i++ {
			number := r.number + uint64(i-r.first)
			if it == nil || i >= int(it.events) || it.has(i) {
				f.voidLetter(r.fate, number)
				continue
			}
			switch {
			case r.fate == queue.Delivered:
				f.ledger.Delivered++
			case r.fate == queue.Filtered:
				f.ledger.Filtered++
			case number < f.nextDead:
				f.voidLetter(r.fate, number)
				void++
				continue
			default:
				f.ledger.Dead++
				f.nextDead = number + 1
			}
			it.settle(i, !own && r.fate != queue.Delivered)
		}
	}
	return void
}

// voidLetter notes that a letter was stored for an event that did not die.
func (f *fold) voidLetter(fate queue.Fate, number uint64) {
	if fate == queue.Dead {
		f.gone[number] = struct{}{}
		f.nextDead = max(f.nextDead, number+1)
	}
}

// finish takes a record that has nothing left out of the pending ones.
func (f *fold) finish(it *item) {
	if it.left > 0 {
		return
	}
	if it.part != nil && it.part.missed != nil {
		f.side.missed[it.seq] = it.part.missed
		f.side.fresh = append(f.side.fresh, note{it.seq, f.totals.seq})
	}
	f.pending.finish(it)
}

func (f *fold) letterEnds(e entry) {
	f.gone[e.number] = struct{}{}
	f.deadBytes = max(f.deadBytes-int64(e.size), 0)
	if e.kind == kindPurged {
		f.ledger.Dead--
		f.ledger.Purged++
	}
}

// replays takes what concerns the replay of history into account. Of two orders,
// or two bridges that take a replay over, the first is the one that counts.
func (f *fold) replays(e entry) {
	switch e.kind {
	case kindOrder:
		if f.replay.Active() || e.replay.Number != f.replay.Number+1 {
			return
		}
		f.replay, f.owner = e.replay, e.writer
	case kindOwner:
		if f.owner != e.number {
			return
		}
		f.owner = e.writer
	case kindProgress:
		f.progress(e)
	}
	if e.writer == f.owner {
		f.ownerSeen = time.Now()
	}
	close(f.orders)
	f.orders = make(chan struct{})
}

func (f *fold) progress(e entry) {
	p := e.progress
	f.ledger.Replayed += p.Replayed
	if !f.replay.Active() || f.replay.Number != p.Number {
		return
	}
	f.replay.Next = max(f.replay.Next, p.Next)
	f.replay.Replayed += p.Replayed
	f.replay.Refused += p.Refused
	f.replay.Skipped += p.Skipped
	if p.End {
		f.replay.EndedAt = e.received
	}
}

const (
	idsPerMark = 8 << 10
	maxIDMarks = 256
)

// mark notes how many ids came, so that a bridge that starts finds the newest.
func (f *fold) mark(seq uint64, ids int) {
	if n := len(f.idMarks); n == 0 || f.ids-f.idMarks[n-1].value >= idsPerMark {
		if n == maxIDMarks {
			f.idMarks = slices.Delete(f.idMarks, 0, 1)
		}
		f.idMarks = append(f.idMarks, mark{seq, f.ids})
	}
	f.ids += uint64(ids)
}

// forget drops what is known of records before seq, which are no history any
// more. Those that an erasure has stored anew after upTo were not deleted with
// them: they go with the next cut, and until then an erasure must find them.
func (f *fold) forget(seq, upTo uint64) {
	for s := range f.side.missed {
		if s < seq {
			delete(f.side.missed, s)
		}
	}
	for s, at := range f.side.rewritten {
		if s < seq && at <= upTo && f.pending.find(s) == nil {
			delete(f.side.rewritten, s)
		}
	}
	f.side.fresh = slices.DeleteFunc(f.side.fresh, func(n note) bool {
		_, missed := f.side.missed[n.seq]
		_, rewritten := f.side.rewritten[n.seq]
		return !missed && !rewritten
	})
}

// wake lets those go on who wait for the message at seq, and where messages
// before it are missing also those who wait for them.
func (f *fold) wake(seq uint64, all bool) {
	for s, waiting := range f.waiters {
		if !all {
			s, waiting = seq, f.waiters[seq]
		}
		if s <= seq {
			for _, c := range waiting {
				close(c)
			}
			delete(f.waiters, s)
		}
		if !all {
			return
		}
	}
}

// wait waits until the message at seq is taken into account.
func (f *fold) wait(ctx context.Context, seq uint64) error {
	f.mu.Lock()
	if f.totals.seq >= seq && f.last >= seq {
		f.mu.Unlock()
		return nil
	}
	if f.ended {
		f.mu.Unlock()
		return queue.ErrClosed
	}
	c := make(chan struct{})
	f.waiters[seq] = append(f.waiters[seq], c)
	f.mu.Unlock()
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		f.mu.Lock()
		defer f.mu.Unlock()
		f.waiters[seq] = slices.DeleteFunc(f.waiters[seq], func(w chan struct{}) bool { return w == c })
		if len(f.waiters[seq]) == 0 {
			delete(f.waiters, seq)
		}
		return ctx.Err()
	}
}

// view returns the ledger.
func (f *fold) view() queue.Ledger {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.ledger
	if it := f.pending.front(); it != nil {
		l.OldestPending = it.receivedAt()
	}
	return l
}
