package queue

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// Queue is one connector's queue. It is safe for concurrent use.
type Queue struct {
	store *Store
	id    int64
	name  string

	// For the writer alone.
	window     *window
	windowSize int
	idsStored  int64 // ids in the table, those beyond the window included

	reading sync.Mutex // held while records are claimed, so that two readers do not claim the same

	mu     sync.Mutex
	totals delta            // as this bridge knows them; the truth where it has the store alone
	claims map[int64]*claim // records that this bridge has claimed
	lanes  [2]struct {
		back   []int64 // of claims: waiting to be handed out, oldest first
		cursor int64   // records up to it have been claimed, were settled, or are of the other lane
	}
	more   chan struct{} // closed when there may be more to claim
	orders chan struct{} // closed when a replay begins
	oldest time.Time     // of the pending events, as last read
	asking chan struct{} // closed when the read of the status that runs has ended; nil: none runs
}

// lane is which records a claim is about: those of the second are claimed only
// where none of the first waits.
type lane int

const (
	live       lane = iota // as Braze posts them
	backfilled             // out of storage exports
)

// claim is a record that this bridge has claimed.
type claim struct {
	claimed
	pending int64
	out     bool // handed out
}

func newQueue(s *Store, id int64, name string, windowSize int) *Queue {
	return &Queue{
		store: s, id: id, name: name, window: newWindow(windowSize), windowSize: windowSize,
		claims: map[int64]*claim{}, more: make(chan struct{}), orders: make(chan struct{}),
	}
}

// load fills the window from the newest stored ids and reads the ledger.
func (q *Queue) load(ctx context.Context) error {
	var rows [][]byte
	have := 0
	crashpoint.At("start.before-ids")
	return q.store.db.view(ctx, func(t tx) error {
		rows, have = rows[:0], 0
		err := t.query(`SELECT hashes FROM ids WHERE connector = ? ORDER BY seq DESC`, func(r row) error {
			if have >= q.windowSize {
				return errStop
			}
			var hashes []byte
			if err := r.scan(&hashes); err != nil {
				return err
			}
			have += len(hashes) / 16
			rows = append(rows, hashes)
			return nil
		}, q.id)
		if err != nil {
			return err
		}
		for _, hashes := range slices.Backward(rows) {
			q.remember(hashes)
		}
		if q.idsStored, err = one(t, `SELECT CAST(coalesce(sum(events), 0) AS BIGINT) FROM ids WHERE connector = ?`, q.id); err != nil {
			return err
		}
		q.totals, err = readLedger(t, q.id)
		return err
	})
}

// remember puts stored ids into the window.
func (q *Queue) remember(hashes []byte) {
	for ; len(hashes) >= 16; hashes = hashes[16:] {
		q.window.add(getHash(hashes))
	}
	q.window.trim()
}

// addForeignIDs puts the ids that other bridges have stored into the windows. It
// runs in the writer.
func (s *Store) addForeignIDs(ids []foreignIDs) {
	if len(ids) == 0 {
		return
	}
	byID := map[int64]*Queue{}
	for _, q := range s.queues() {
		byID[q.id] = q
	}
	for _, f := range ids {
		if q := byID[f.connector]; q != nil {
			q.remember(f.hashes)
		}
	}
}

func readLedger(t tx, connector int64) (d delta, err error) {
	err = t.query(`SELECT CAST(coalesce(sum(received), 0) AS BIGINT), CAST(coalesce(sum(duplicates), 0) AS BIGINT), CAST(coalesce(sum(accepted), 0) AS BIGINT), CAST(coalesce(sum(filtered), 0) AS BIGINT),
 CAST(coalesce(sum(delivered), 0) AS BIGINT), CAST(coalesce(sum(dead), 0) AS BIGINT), CAST(coalesce(sum(purged), 0) AS BIGINT), CAST(coalesce(sum(replayed), 0) AS BIGINT),
 CAST(coalesce(sum(backfilled), 0) AS BIGINT), CAST(coalesce(sum(history), 0) AS BIGINT), coalesce(max(last_seq), 0) FROM ledger WHERE connector = ?`,
		func(r row) error {
			return r.scan(&d.received, &d.duplicates, &d.accepted, &d.filtered, &d.delivered, &d.dead, &d.purged,
				&d.replayed, &d.backfilled, &d.history, &d.lastSeq)
		}, connector)
	return d, err
}

// apply adds what a transaction has committed.
func (q *Queue) apply(d *delta) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := &q.totals
	t.received += d.received
	t.duplicates += d.duplicates
	t.accepted += d.accepted
	t.filtered += d.filtered
	t.delivered += d.delivered
	t.dead += d.dead
	t.purged += d.purged
	t.replayed += d.replayed
	t.backfilled += d.backfilled
	t.history += d.history
	t.lastSeq = max(t.lastSeq, d.lastSeq)
}

func (d delta) pending() int64 { return d.accepted - d.filtered - d.delivered - d.dead - d.purged }

// statusTimeout is how long a look at the ledger waits for the database before
// it takes what it read last.
const statusTimeout = time.Second

// Ledger returns the totals; they are consistent with each other. Where bridges
// share the store they are the sums of all. It waits a second at most for a
// database that does not answer, and then returns what it knew last.
func (q *Queue) Ledger() Ledger {
	fresh := q.refresh()
	select {
	case <-fresh:
	default:
		timer := time.NewTimer(statusTimeout)
		defer timer.Stop()
		select {
		case <-fresh:
		case <-timer.C:
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.totals
	l := Ledger{
		Received: uint64(t.received), Duplicates: uint64(t.duplicates), Accepted: uint64(t.accepted),
		Filtered: uint64(t.filtered), Delivered: uint64(t.delivered), Dead: uint64(t.dead), Purged: uint64(t.purged),
		Replayed: uint64(t.replayed), Backfilled: uint64(t.backfilled),
	}
	if l.Pending() > 0 {
		if l.OldestPending = q.oldest; l.OldestPending.IsZero() {
			l.OldestPending = time.Now()
		}
	}
	return l
}

// refresh reads what Ledger needs of the database, one read at a time, and closes
// the channel that it returns when it has.
func (q *Queue) refresh() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.asking != nil {
		return q.asking
	}
	done := make(chan struct{})
	if !q.store.shared && q.totals.pending() == 0 {
		close(done)
		return done
	}
	q.asking = done
	go func() {
		q.readStatus()
		close(done)
	}()
	return done
}

func (q *Queue) readStatus() {
	var totals delta
	var oldest int64
	ctx, cancel := context.WithTimeout(context.Background(), q.store.opts.commitTimeout)
	defer cancel()
	err := q.store.db.view(ctx, func(t tx) (err error) {
		if q.store.shared {
			if totals, err = readLedger(t, q.id); err != nil {
				return err
			}
		}
		oldest, err = one(t, `SELECT received FROM record WHERE connector = ? AND pending > 0 ORDER BY seq LIMIT 1`, q.id)
		return err
	})
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asking = nil
	if err != nil {
		return
	}
	if q.store.shared {
		q.totals = totals
	}
	if oldest == 0 {
		q.oldest = time.Time{}
	} else {
		q.oldest = time.UnixMicro(oldest)
	}
}

// wakeUp tells those that wait in Claim that there may be more.
func (q *Queue) wakeUp() {
	q.mu.Lock()
	close(q.more)
	q.more = make(chan struct{})
	q.mu.Unlock()
}

// origin names a record for ever.
func (q *Queue) origin(seq int64) string {
	return q.store.name + "-" + strconv.FormatInt(seq, 36)
}

// insertSeq puts a number into a list that is in order.
func insertSeq(list []int64, seq int64) []int64 {
	at, _ := slices.BinarySearch(list, seq)
	return slices.Insert(list, at, seq)
}
