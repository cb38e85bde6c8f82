package queue

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/body"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/window"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// Queue is one connector's queue. It is safe for concurrent use.
type Queue struct {
	store *Store
	id    int64
	name  string

	window     *window.Window // for the writer alone
	windowSize int
	newest     int64        // of the rows of ids that were read when the queue was opened
	idsStored  atomic.Int64 // ids in the table, about, those beyond the window included
	counted    time.Time    // when those of all bridges were; for prune alone

	reading sync.Mutex         // held while records are claimed, so that two readers do not claim the same
	asking  singleflight.Group // one read of the ledger at a time

	mu      sync.Mutex
	totals  delta            // where bridges share the store: as last read
	claims  map[int64]*claim // records that this bridge has claimed
	streams [2]struct {
		ready  []int64 // of claims: waiting to be handed out, oldest first
		cursor int64   // records up to it have been claimed, were settled, or are of the other stream
	}
	last   int64          // newest record; where the queue has the store alone
	fresh  int64          // bytes of events in claims
	left   map[int64]bool // set aside, with bodies that could not be removed
	more   chan struct{}  // closed when there may be more to claim
	orders chan struct{}  // closed when a replay begins
	oldest time.Time      // of the pending events, as last read
}

// A claim is about records of one stream: those of the second are claimed only where
// none of the first waits.
const (
	liveStream     int64 = iota // as Braze posts them
	backfillStream              // backfilled, out of storage exports
)

// claim is a record that this bridge has claimed.
type claim struct {
	sqldb.Record
	fresh body.Events // of a record that was stored just now; none: they have to be read
	out   bool        // handed out
}

// load fills the window from the stored ids. That may take seconds, so it is
// done beside the writer.
func (q *Queue) load(ctx context.Context) error {
	crashpoint.At("start.before-ids")
	return q.store.db.View(ctx, func(t sqldb.Tx) (err error) {
		if q.id, err = sqldb.QueryInt(t, `SELECT id FROM connector WHERE name = $1`, q.name); err != nil || q.id == 0 {
			return err
		}
		stored, err := q.readIDs(t, 0)
		q.idsStored.Store(stored)
		return err
	})
}

// readIDs puts the stored ids into the window, those beyond the record after, and
// returns how many there were.
func (q *Queue) readIDs(t sqldb.Tx, after int64) (n int64, err error) {
	err = t.Query(`SELECT seq, hashes FROM ids WHERE (connector, seq) > ($1, $2) AND connector <= $1 ORDER BY connector, seq`, func(r sqldb.Row) error {
		var hashes []byte
		err := r.Scan(&q.newest, &hashes)
		q.remember(hashes)
		n += int64(len(hashes) / 16)
		return err
	}, q.id, after)
	return n, err
}

// open makes the queue at first use, and reads its ledger and the ids that were
// stored since load. It runs in the writer, whose next transactions read what other
// bridges store: so no id of theirs is missed.
func (q *Queue) open(c *change, isNew bool) (err error) {
	if isNew {
		q.id, err = sqldb.QueryInt(c, `INSERT INTO connector (name) VALUES ($1) ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id`, q.name)
	}
	if err == nil {
		err = c.Exec(`INSERT INTO ledger (connector, bridge) VALUES ($1, $2) ON CONFLICT (connector, bridge) DO NOTHING`, q.id, c.Ledger)
	}
	if err == nil && q.store.shared {
		_, err = q.readIDs(c, q.newest-sqldb.LateIDs)
	}
	if err == nil {
		q.totals, err = readLedger(c, q.id)
	}
	if err == nil {
		q.last, err = sqldb.QueryInt(c, `SELECT coalesce(max(n), 0) FROM (SELECT max(last_seq) AS n FROM ledger WHERE connector = $1
 UNION ALL SELECT max(seq) FROM record WHERE connector = $1 AND pending > 0) AS newest`, q.id)
	}
	c.of(q).opened = err == nil
	return err
}

// remember puts stored ids into the window.
func (q *Queue) remember(hashes []byte) {
	for ; len(hashes) >= 16; hashes = hashes[16:] {
		q.window.Add(getHash(hashes))
	}
	q.window.Trim()
}

// learn takes in what other bridges have done. It runs in the writer, before what
// becomes of the transaction is known.
func (s *Store) learn(ready sqldb.Ready) {
	if !ready.Void && len(ready.Foreign) == 0 {
		return
	}
	for _, q := range s.queues() {
		if ready.Void {
			q.dropClaims()
		}
		for _, ids := range ready.Foreign {
			if ids.Connector == q.id {
				q.remember(ids.Hashes)
			}
		}
	}
}

// wake wakes those that wait for the channel, more or orders, to be closed. mu must
// be held.
func wake(waiting *chan struct{}) {
	close(*waiting)
	*waiting = make(chan struct{})
}

// Ledger returns the totals; they are consistent with each other. Where bridges
// share the store they are the sums of all. It waits a second at most for a
// database that does not answer, and then returns what it knew last.
func (q *Queue) Ledger() Ledger {
	if q.store.shared || q.known().Pending() > 0 {
		select {
		case <-q.asking.DoChan("", q.readStatus):
		case <-time.After(time.Second):
		}
	}
	return q.known()
}

// known is the ledger as this bridge knows it.
func (q *Queue) known() Ledger {
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
	err := q.store.db.View(ctx, func(t sqldb.Tx) (err error) {
		if totals, err = readLedger(t, q.id); err == nil {
			oldest, err = sqldb.QueryInt(t, `SELECT received FROM record WHERE `+sqldb.PendingInOrder+` LIMIT 1`, q.id, q.store.db.Floor(q.id))
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
	q.oldest = timeOf(oldest)
	return nil, nil
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

var sumLedger, addToLedger = ledgerSQL()

// ledgerSQL makes the statements that read a ledger and that add to a row of one.
func ledgerSQL() (read, add string) {
	columns := []string{"received", "duplicates", "accepted", "filtered", "delivered", "dead", "purged", "replayed", "backfilled", "history"}
	add = sqldb.Insert("ledger", strings.Join(columns, ", ")+", last_seq, connector, bridge") + " ON CONFLICT (connector, bridge) DO UPDATE SET "
	for i, c := range columns {
		columns[i] = "CAST(coalesce(sum(" + c + "), 0) AS BIGINT)"
		add += c + " = ledger." + c + " + excluded." + c + ", "
	}
	return "SELECT " + strings.Join(columns, ", ") + " FROM ledger WHERE connector = $1",
		add + "last_seq = CASE WHEN ledger.last_seq < excluded.last_seq THEN excluded.last_seq ELSE ledger.last_seq END"
}

func readLedger(t sqldb.Tx, connector int64) (d delta, err error) {
	to := make([]any, sums)
	for i := range d {
		to[i] = &d[i]
	}
	err = t.Query(sumLedger, func(r sqldb.Row) error { return r.Scan(to...) }, connector)
	return d, err
}
