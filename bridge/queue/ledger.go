package queue

import (
	"context"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
)

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
			oldest, err = sqldb.QueryInt(t, `SELECT received FROM record WHERE connector = $1 AND pending > 0 AND seq > $2 ORDER BY seq LIMIT 1`, q.id, q.store.db.Floor(q.id))
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
