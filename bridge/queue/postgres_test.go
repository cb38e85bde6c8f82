package queue_test

import (
	"context"
	"fmt"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/pgtest"
)

// openPG opens a store and its queue "a" as a bridge.
func openPG(t *testing.T, opts queue.Options) (*kit, *queue.Queue) {
	opts.RetainAge = time.Hour
	k := newKit(t, opts)
	return k, k.open("a")
}

// twoBridges opens a store as two bridges.
func twoBridges(t *testing.T) (ka, kb *kit, a, b *queue.Queue) {
	ka, a, _ = oneBridge(t)
	kb, b = openPG(t, queue.Options{URL: ka.opts.URL})
	return ka, kb, a, b
}

// oneBridge opens a store of its own, and what changes its tables behind its back.
func oneBridge(t *testing.T) (k *kit, q *queue.Queue, db func(sql string)) {
	k, q = openPG(t, queue.Options{URL: pgtest.Start(t, "fsync=off").Database(t)})
	conn, err := pgx.Connect(t.Context(), k.opts.URL)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return k, q, func(sql string) {
		t.Helper()
		require.NoError(t, errOf(conn.Exec(t.Context(), sql)))
	}
}

// Two bridges: what one stores the other knows as a duplicate, by batch and event
// by event, and each record is claimed by one of them.
func TestBridgesShareAStore(t *testing.T) {
	k, _, a, b := twoBridges(t)
	k.add(a, queue.Receipt{Accepted: 3}, "1", "2", "3")
	k.add(b, queue.Receipt{Duplicates: 3}, "1", "2", "3")
	time.Sleep(60 * time.Millisecond) // ids of others are read at most so often
	k.add(b, queue.Receipt{Accepted: 1, Duplicates: 1}, "2", "4")
	ra := k.fetchAll(a, 4)
	k.nothingToFetch(b)
	k.deliver(a, ra[0])
	a.Release(ra[1:]...)
	require.Equal(t, a.Ledger(), b.Ledger())
	k.count(b, 8, 4, 4, 0, 3, 0, 0, 1)
}

// A bridge that is gone keeps its claims for AckWait and no longer.
func TestClaimsOfADeadBridgeAreFreed(t *testing.T) {
	opts := queue.Options{URL: pgtest.Start(t, "fsync=off").Database(t), AckWait: 2 * time.Second}
	k, a := openPG(t, opts)
	_, b := openPG(t, opts)
	k.add(a, queue.Receipt{Accepted: 2}, "1", "2")
	r := k.fetchAll(a, 2)
	k.store.Abandon()
	again := k.fetchThese(b, "1", "2")
	require.NoError(t, a.Settle(k.ctx, delivered(r...)), "another bridge has them: nothing is counted")
	k.deliver(b, again...)
	k.count(b, 2, 0, 2, 0, 2, 0, 0, 0)
}

// A claim is cut off at any instant, and the server may have made it all the same:
// its records are handed out again.
func TestClaimThatIsCutOff(t *testing.T) {
	k, a, _ := oneBridge(t)
	const records = 300
	for i := range records {
		k.add(a, queue.Receipt{Accepted: 1}, strconv.Itoa(i))
	}
	for i := range records {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*10*time.Microsecond)
		r, err := a.Claim(ctx, queue.Limit{Events: 1, Bytes: 1 << 20})
		cancel()
		if err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		a.Release(r...)
	}
	k.deliver(a, k.fetchAll(a, records)...)
	k.count(a, records, 0, records, 0, records, 0, 0, 0)
}

// A bridge whose row was removed claims with a new one at once, and then learns
// that its claims are void: nothing is left behind. A claim that was made for a bridge
// whose row was gone already is freed too.
func TestClaimsBesideANewRow(t *testing.T) {
	k, a, db := oneBridge(t)
	k.add(a, queue.Receipt{Accepted: 2}, "1", "2")
	db(`DELETE FROM bridge`)
	require.NoError(t, k.store.Renew(t.Context()))
	k.fetchThese(a, "1", "2")
	k.add(a, queue.Receipt{Accepted: 1}, "3")
	k.deliver(a, k.fetchAll(a, 3)...)
	k.count(a, 3, 0, 3, 0, 3, 0, 0, 0)
	k.add(a, queue.Receipt{Accepted: 1}, "4")
	db(`UPDATE record SET owner = 1000000 WHERE pending > 0`)
	k.fetchThese(a, "4")
}

// A record that another bridge has by now is left to it: settling it counts
// nothing, and once released it is not handed out, and delivered, again.
func TestRecordOfAnotherBridgeIsLeft(t *testing.T) {
	k, a, db := oneBridge(t)
	k.add(a, queue.Receipt{Accepted: 2}, "1", "2")
	r := k.fetchAll(a, 2)
	db(`INSERT INTO bridge VALUES (999, 'other', 'infinity'); UPDATE record SET owner = 999`)
	require.NoError(t, a.Settle(k.ctx, delivered(r...)))
	a.Release(r...)
	k.nothingToFetch(a)
	k.count(a, 2, 0, 2, 0, 0, 0, 0, 2)
}

// failOnce makes the statements that have the next transaction that stores a batch fail.
func failOnce(condition string) string {
	return `CREATE SEQUENCE tries; CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$
 BEGIN IF nextval('tries') = 1 THEN RAISE ` + condition + `; END IF; RETURN NEW; END $$;
CREATE TRIGGER fail_once BEFORE INSERT ON batch FOR EACH ROW EXECUTE FUNCTION fail_once()`
}

// A transaction that has to run again, here because a table of bodies was dropped,
// finds the duplicates of a batch as the first time.
func TestTransactionRunsAgain(t *testing.T) {
	k, a, db := oneBridge(t)
	k.add(a, queue.Receipt{Accepted: 1}, "1")
	k.deliver(a, k.fetchAll(a, 1)...)
	db(failOnce("undefined_table"))
	k.add(a, queue.Receipt{Accepted: 2, Duplicates: 1}, "1", "2", "3")
	k.fetchThese(a, "2", "3")
}

// The answer to a commit is lost with the connection, and the settlement is stored
// once more: nothing is counted twice.
func TestSettlementWhoseAnswerWasLost(t *testing.T) {
	k, a, db := oneBridge(t)
	k.add(a, queue.Receipt{Accepted: 3}, "1", "2", "3")
	r := k.fetchAll(a, 3)
	db(`UPDATE record SET pending = 1, outcome = '\x010100'; UPDATE ledger SET delivered = 2`) // as the lost commit did
	k.settle(a, r, "dd")
	k.count(a, 3, 0, 3, 0, 2, 0, 0, 1)
	require.NoError(t, a.Settle(k.ctx, delivered(r...)))
	k.count(a, 3, 0, 3, 0, 3, 0, 0, 0)
	db(`UPDATE record SET pending = 0, outcome = NULL`)
	require.NoError(t, a.Settle(k.ctx, delivered(r...)))
	k.count(a, 3, 0, 3, 0, 3, 0, 0, 0)
}

// A database that is away: an error within the timeout, and it comes back by
// itself.
func TestDatabaseAway(t *testing.T) {
	server := pgtest.Start(t, "fsync=off")
	k, q := openPG(t, queue.Options{URL: server.Database(t), AppendTimeout: 5 * time.Second})
	k.add(q, queue.Receipt{Accepted: 1}, "1")
	server.Stop(syscall.SIGQUIT)
	require.ErrorIs(t, errOf(q.Append(k.ctx, k.batch("2"))), queue.ErrAway)
	require.ErrorIs(t, k.store.Usage().Away, queue.ErrAway)
	require.NoError(t, k.store.Usage().Err)
	server.Run(t)
	k.eventually(func() bool { return errOf(q.Append(k.ctx, k.batch("3"))) == nil }, "batches are taken again")
	require.NoError(t, k.store.Usage().Away)
	k.eventually(func() bool { return q.Ledger().Pending() == 2 }, "both are there")
	k.deliver(q, k.fetchAll(q, 2)...)
}

// While a bridge opens a queue, another one stores, and the first one reads what it
// has stored for its other queues: each of these ids is a duplicate afterwards.
func TestIDsStoredWhileAQueueIsOpened(t *testing.T) {
	k, kb, busyA, _ := twoBridges(t)
	k.window, kb.window = 1_000_000, 1_000_000
	b := kb.open("late")
	for i := range 100 { // so that it takes a while to read them
		ids := make([]string, 2000)
		for j := range ids {
			ids[j] = fmt.Sprint("old-", i, "-", j)
		}
		k.add(b, queue.Receipt{Accepted: len(ids)}, ids...)
	}
	opening, opened := context.WithCancel(t.Context())
	sending := later(func() (sent []string, err error) {
		for opening.Err() == nil && err == nil {
			id := "late-" + strconv.Itoa(len(sent))
			if _, err = busyA.Append(t.Context(), k.batch("busy-"+id)); err == nil {
				_, err = b.Append(t.Context(), k.batch(id))
			}
			sent = append(sent, id)
		}
		return sent, err
	})
	time.Sleep(100 * time.Millisecond)
	a := k.open("late")
	opened()
	sent := answer(k, sending)
	require.NoError(t, sent.err)
	time.Sleep(60 * time.Millisecond) // ids of others are read at most so often
	k.add(a, queue.Receipt{Accepted: 1}, "new")
	for _, id := range sent.value { // beside a new one, so that the batch is not known by its hash
		k.add(a, queue.Receipt{Accepted: 1, Duplicates: 1}, id, "beside-"+id)
	}
}

// A bridge whose row was removed, because it did not answer for long, learns all ids
// that others have stored meanwhile.
func TestIDsStoredWhileABridgeWasAway(t *testing.T) {
	k, a, db := oneBridge(t)
	other, b := openPG(t, queue.Options{URL: k.opts.URL})
	other.add(b, queue.Receipt{Accepted: 1}, "1")
	db(`INSERT INTO ids SELECT max(seq) + 5000, 0, '' FROM ids; DELETE FROM bridge`)
	require.NoError(t, k.store.Renew(t.Context()))
	k.add(a, queue.Receipt{Accepted: 1, Duplicates: 1}, "1", "2")
}

// What others have stored is learned also where the transaction that has read it fails
// and runs again.
func TestIDsReadByATransactionThatFails(t *testing.T) {
	k, a, db := oneBridge(t)
	other, b := openPG(t, queue.Options{URL: k.opts.URL})
	other.add(b, queue.Receipt{Accepted: 1}, "1")
	db(failOnce("serialization_failure"))
	k.add(a, queue.Receipt{Accepted: 1, Duplicates: 1}, "1", "2")
}

// Records of another bridge become visible in another order than their numbers':
// one that comes late, below what was settled already, is claimed all the same.
func TestRecordThatBecomesVisibleLate(t *testing.T) {
	k, a, db := oneBridge(t)
	k.add(a, queue.Receipt{Accepted: 1}, "late")
	db(`UPDATE record SET pending = 0`)
	k.add(a, queue.Receipt{Accepted: 1}, "early")
	early := k.fetchAll(a, 1)
	for range 3 { // looks at everything about once a second
		time.Sleep(600 * time.Millisecond)
		k.nothingToFetch(a)
	}
	db(`UPDATE record SET pending = 1 WHERE pending = 0`)
	k.deliver(a, append(early, k.fetchThese(a, "late")...)...)
}

// What a transaction held open pins of the ledger's rows stays short: they take turns.
func TestRowsOfTheLedgerTakeTurns(t *testing.T) {
	k, q, db := oneBridge(t)
	const batches = 250
	for range batches {
		k.add(q, queue.Receipt{Accepted: 1}, "-")
	}
	require.EqualValues(t, batches, q.Ledger().Received)
	db(`DO $$ BEGIN ASSERT (SELECT max(received) FROM ledger) <= 100; END $$`)
}
