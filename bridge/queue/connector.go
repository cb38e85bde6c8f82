package queue

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// Queue is one connector's queue. It is safe for concurrent use.
type Queue struct {
	store *Store
	id    int64
	name  string

	window     *window // for the writer alone
	windowSize int
	newest     int64        // of the rows of ids that were read when the queue was opened
	idsStored  atomic.Int64 // ids in the table, those beyond the window included

	reading sync.Mutex         // held while records are claimed, so that two readers do not claim the same
	asking  singleflight.Group // one read of the ledger at a time

	mu      sync.Mutex
	totals  delta            // as this bridge knows them; the truth where it has the store alone
	claims  map[int64]*claim // records that this bridge has claimed
	streams [2]struct {
		ready  []int64   // of claims: waiting to be handed out, oldest first
		cursor int64     // records up to it have been claimed, were settled, or are of the other stream
		scan   floorScan // for PostgreSQL's claims alone
	}
	freed  time.Time     // for PostgreSQL's claims alone: when unknown ones were freed
	floor  floor         // of PostgreSQL; 0 else
	last   int64         // newest record; where the queue has the store alone
	fresh  int64         // bytes of events in claims
	more   chan struct{} // closed when there may be more to claim
	orders chan struct{} // closed when a replay begins
	oldest time.Time     // of the pending events, as last read
}

// stream is which records a claim is about: those of the second are claimed only
// where none of the first waits.
type stream int

const (
	liveStream     stream = iota // as Braze posts them
	backfillStream               // backfilled, out of storage exports
)

// claim is a record that this bridge has claimed.
type claim struct {
	recordState
	out bool // handed out
}

// load fills the window from the newest stored ids. That may take seconds, so it is
// done beside the writer.
func (q *Queue) load(ctx context.Context) error {
	crashpoint.At("start.before-ids")
	return q.store.db.view(ctx, func(t tx) (err error) {
		if q.id, err = queryInt(t, `SELECT id FROM connector WHERE name = $1`, q.name); err != nil || q.id == 0 {
			return err
		}
		if err := q.readIDs(t, 0); err != nil {
			return err
		}
		stored, err := queryInt(t, `SELECT CAST(coalesce(sum(length(hashes) / 16), 0) AS BIGINT) FROM ids WHERE connector = $1`, q.id)
		q.idsStored.Store(stored)
		return err
	})
}

// readIDs puts the newest stored ids into the window, those beyond the record after.
func (q *Queue) readIDs(t tx, after int64) error {
	var rows [][]byte
	have := 0
	err := t.query(`SELECT seq, hashes FROM ids WHERE connector = $1 AND seq > $2 ORDER BY seq DESC`, func(r row) error {
		if have >= q.windowSize {
			return errStop
		}
		var seq int64
		var hashes []byte
		err := r.scan(&seq, &hashes)
		q.newest = max(q.newest, seq)
		have += len(hashes) / 16
		rows = append(rows, hashes)
		return err
	}, q.id, after)
	for _, hashes := range slices.Backward(rows) {
		q.remember(hashes)
	}
	return err
}

// open makes the queue at first use, and reads its ledger and the ids that were
// stored since load. It runs in the writer, whose next transactions read what other
// bridges store: so no id of theirs is missed.
func (q *Queue) open(c *change, isNew bool) (err error) {
	if isNew {
		q.id, err = queryInt(c, `INSERT INTO connector (name) VALUES ($1) ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id`, q.name)
	}
	if err == nil {
		err = c.exec(`INSERT INTO ledger (connector, bridge) VALUES ($1, $2) ON CONFLICT (connector, bridge) DO NOTHING`, q.id, q.store.ledgerRow())
	}
	if err == nil && q.store.shared {
		err = q.readIDs(c, q.newest-lateIDs)
	}
	if err == nil {
		q.totals, err = readLedger(c, q.id)
	}
	if err == nil {
		q.last, err = queryInt(c, `SELECT coalesce(max(n), 0) FROM (SELECT max(last_seq) AS n FROM ledger WHERE connector = $1
 UNION ALL SELECT max(seq) FROM record WHERE connector = $1 AND pending > 0) AS newest`, q.id)
	}
	c.of(q).opened = err == nil
	return err
}

// remember puts stored ids into the window.
func (q *Queue) remember(hashes []byte) {
	for ; len(hashes) >= 16; hashes = hashes[16:] {
		q.window.add(getHash(hashes))
	}
	q.window.trim()
}

// remember puts ids that another bridge has stored into the window of a
// connector. It runs in the writer.
func (s *Store) remember(connector int64, hashes []byte) {
	for _, q := range s.queues() {
		if q.id == connector {
			q.remember(hashes)
		}
	}
}

// statusTimeout is how long a look at the ledger waits for the database before
// it takes what it read last.
const statusTimeout = time.Second

// Ledger returns the totals; they are consistent with each other. Where bridges
// share the store they are the sums of all. It waits a second at most for a
// database that does not answer, and then returns what it knew last.
func (q *Queue) Ledger() Ledger {
	q.mu.Lock()
	known := !q.store.shared && q.totals.pending() == 0
	q.mu.Unlock()
	if !known {
		select {
		case <-q.asking.DoChan("", q.readStatus):
		case <-time.After(statusTimeout):
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	n := func(column int) uint64 { return uint64(q.totals[column]) }
	l := Ledger{
		Received: n(received), Duplicates: n(duplicates), Accepted: n(accepted), Filtered: n(filtered), Delivered: n(delivered),
		Dead: n(dead), Purged: n(purged), Replayed: n(replayed), Backfilled: n(backfilled),
	}
	if l.Pending() > 0 {
		if l.OldestPending = q.oldest; l.OldestPending.IsZero() {
			l.OldestPending = time.Now()
		}
	}
	return l
}

// readStatus reads what Ledger needs of the database.
func (q *Queue) readStatus() (any, error) {
	var totals delta
	var oldest int64
	ctx, cancel := context.WithTimeout(context.Background(), q.store.opts.commitTimeout())
	defer cancel()
	err := q.store.db.view(ctx, func(t tx) (err error) {
		if totals, err = readLedger(t, q.id); err == nil {
			oldest, err = queryInt(t, `SELECT received FROM record WHERE connector = $1 AND pending > 0 AND seq > $2 ORDER BY seq LIMIT 1`, q.id, q.floor.seq.Load())
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.store.shared {
		q.totals = totals
	}
	if q.oldest = (time.Time{}); oldest != 0 {
		q.oldest = time.UnixMicro(oldest)
	}
	return nil, nil
}

// wake wakes those that wait for the channel, more or orders, to be closed. mu must
// be held.
func wake(waiting *chan struct{}) {
	close(*waiting)
	*waiting = make(chan struct{})
}

// origin names a record for ever.
func (q *Queue) origin(seq int64) string {
	return q.store.name + "-" + strconv.FormatInt(seq, 36)
}
