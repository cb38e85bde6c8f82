package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
	"github.com/currentsbridge/currentsbridge/internal/progress"
)

// The writer is the one goroutine that changes the store. It commits every
// append and settlement that is waiting in one transaction, up to maxGroup bytes,
// so that concurrent requests share one fsync.
const (
	maxGroup  = 8 << 20
	maxQueued = 128 << 20 // bytes of operations that may wait; more are rejected
)

// op is one operation for the writer.
type op struct {
	size int
	need prepare
	// do writes. An error that is a refusal (see refuse) is this operation's
	// alone and means that it has written nothing; any other one undoes the
	// whole transaction.
	do func(*change) error
	// undo takes back what do has changed in memory; nil: nothing.
	undo func()
	// done applies the change in memory, after the commit; nil: nothing.
	done func()

	begun    time.Time
	refusal  error
	finished chan error
}

// refusal marks an error that concerns one operation only.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

func refuse(err error) error { return refusal{err} }

// change is a transaction of the writer while it runs.
type change struct {
	tx
	seqs    []int64        // drawn sequence numbers that are left
	lost    map[int64]bool // claimed records that another bridge has by now
	known   []bool         // of the content that the operation asked about: stored before
	ledgers map[*Queue]*delta
}

// seq hands out the next of the drawn sequence numbers.
func (c *change) seq() int64 {
	n := c.seqs[0]
	c.seqs = c.seqs[1:]
	return n
}

// delta is what a transaction adds to the ledger of a queue.
type delta struct {
	received, duplicates, accepted, filtered, delivered, dead, purged, replayed, backfilled, history int64
	lastSeq                                                                                          int64
}

func (c *change) ledger(q *Queue) *delta {
	d := c.ledgers[q]
	if d == nil {
		d = &delta{}
		c.ledgers[q] = d
	}
	return d
}

type writer struct {
	store *Store
	wake  chan struct{}
	ended chan struct{}

	mu      sync.Mutex
	waiting []*op
	queued  int       // bytes of the waiting and the running
	running time.Time // when the transaction that runs began; zero: none
	closed  bool
	failed  error // wraps ErrFailed
	away    error // what the last transaction failed with, if it may pass
}

func newWriter(s *Store) *writer {
	return &writer{store: s, wake: make(chan struct{}, 1), ended: make(chan struct{})}
}

// submit queues an operation without waiting for it.
func (w *writer) submit(o *op) error {
	o.finished, o.begun = make(chan error, 1), time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.failed != nil:
		return w.failed
	case w.closed:
		return ErrClosed
	case w.queued+o.size > maxQueued && len(w.waiting) > 0:
		return fmt.Errorf("%w: %s are waiting for it", ErrAway, progress.Bytes(int64(w.queued)))
	}
	w.queued += o.size
	w.waiting = append(w.waiting, o)
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return nil
}

// run submits an operation and waits until it is durable, until ctx ends, or for
// the timeout of the store. After the last two it may be stored all the same.
func (w *writer) run(ctx context.Context, o *op) error {
	if err := w.submit(o); err != nil {
		return err
	}
	timer := time.NewTimer(w.store.opts.AppendTimeout)
	defer timer.Stop()
	select {
	case err := <-o.finished:
		return err
	case <-timer.C:
		if w.withdraw(o) {
			return fmt.Errorf("%w: a commit takes longer than %s", ErrAway, w.store.opts.AppendTimeout)
		}
		return fmt.Errorf("%w: its commit takes longer than %s", ErrAway, w.store.opts.AppendTimeout)
	case <-ctx.Done():
		if w.withdraw(o) {
			return ctx.Err()
		}
		return fmt.Errorf("%w: %w", ErrAway, ctx.Err())
	}
}

// withdraw takes an operation back whose transaction has not begun.
func (w *writer) withdraw(o *op) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, other := range w.waiting {
		if other == o {
			w.waiting = append(w.waiting[:i], w.waiting[i+1:]...)
			w.queued -= o.size
			return true
		}
	}
	return false
}

// loop commits until the writer is closed and nothing is waiting any more.
func (w *writer) loop() {
	defer close(w.ended)
	for {
		group, size := w.next()
		if group == nil {
			return
		}
		w.commit(group)
		w.mu.Lock()
		w.queued -= size
		w.running = time.Time{}
		w.mu.Unlock()
	}
}

// next waits for operations and takes as many as fit into one transaction.
func (w *writer) next() (group []*op, size int) {
	for {
		w.mu.Lock()
		if n := len(w.waiting); n > 0 {
			i := 0
			for i < n && (i == 0 || size+w.waiting[i].size <= maxGroup) {
				size += w.waiting[i].size
				i++
			}
			group = append(group, w.waiting[:i]...)
			w.waiting = append(w.waiting[:0], w.waiting[i:]...)
			clear(w.waiting[len(w.waiting):n])
			w.running = group[0].begun
			w.mu.Unlock()
			return group, size
		}
		closed := w.closed
		w.mu.Unlock()
		if closed {
			return nil, 0
		}
		<-w.wake
	}
}

// commit runs a group in one transaction and tells each operation its end.
func (w *writer) commit(group []*op) {
	w.mu.Lock()
	failed := w.failed
	w.mu.Unlock()
	if failed != nil {
		w.finish(group, failed)
		return
	}
	var need prepare
	for _, o := range group {
		need.records += o.need.records
		need.held = append(need.held, o.need.held...)
		need.content = append(need.content, o.need.content...)
	}
	ledgers := map[*Queue]*delta{}
	written := 0
	ctx, cancel := context.WithTimeout(context.Background(), w.store.opts.commitTimeout)
	defer cancel()
	err := w.store.db.update(ctx, need, func(t tx, p *prepared) error {
		for _, o := range group[:written] { // the database has run it once before, in vain
			if o.undo != nil && o.refusal == nil {
				o.undo()
			}
		}
		written = 0
		clear(ledgers)
		w.store.addForeignIDs(p.ids)
		c := &change{tx: t, seqs: p.seqs, lost: p.lost, ledgers: ledgers}
		asked := 0
		for _, o := range group {
			c.known, asked = p.known[asked:asked+len(o.need.content)], asked+len(o.need.content)
			o.refusal = nil
			if err := o.do(c); errors.As(err, new(refusal)) {
				o.refusal = errors.Unwrap(err)
			} else if err != nil {
				return err
			}
			written++
		}
		err := c.writeLedgers(w.store.bridge)
		crashpoint.At("commit.before")
		return err
	})
	if err != nil {
		for i := written - 1; i >= 0; i-- {
			if group[i].undo != nil && group[i].refusal == nil {
				group[i].undo()
			}
		}
		w.finish(group, w.wrong(err))
		return
	}
	crashpoint.At("commit.after")
	for q, d := range ledgers {
		q.apply(d)
	}
	for _, o := range group {
		if o.done != nil && o.refusal == nil {
			o.done()
		}
	}
	w.finish(group, nil)
}

func (w *writer) finish(group []*op, err error) {
	w.mu.Lock()
	if err == nil || !errors.Is(err, ErrAway) {
		w.away = nil
	} else {
		w.away = err
	}
	w.mu.Unlock()
	for _, o := range group {
		if err == nil {
			o.finished <- o.refusal
		} else {
			o.finished <- err
		}
	}
}

// wrong makes one of this package's errors of what a transaction failed with and
// remembers it if the store is done for.
func (w *writer) wrong(err error) error {
	err = w.store.db.classify(err)
	if errors.Is(err, ErrFailed) {
		w.fail(err)
	}
	return err
}

// fail ends the store: nothing is stored any more.
func (w *writer) fail(err error) {
	w.mu.Lock()
	first := w.failed == nil
	if first {
		w.failed = err
	}
	w.mu.Unlock()
	if first {
		w.store.log.Error("nothing can be stored any more", "error", err)
		w.store.wakeAll()
	}
}

// state returns why nothing can be stored now: for good, or for a while.
func (w *writer) state() (failed, away error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	away = w.away
	since := w.running
	if since.IsZero() && len(w.waiting) > 0 {
		since = w.waiting[0].begun
	}
	if away == nil && !since.IsZero() && time.Since(since) > w.store.opts.AppendTimeout {
		away = fmt.Errorf("%w: a commit has not come for %s", ErrAway, time.Since(since).Round(time.Second))
	}
	return w.failed, away
}

// close lets what is waiting be committed and ends the loop.
func (w *writer) close() {
	w.mu.Lock()
	already := w.closed
	w.closed = true
	w.mu.Unlock()
	if !already {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
	<-w.ended
}

const addToLedger = `UPDATE ledger SET received = received + ?, duplicates = duplicates + ?, accepted = accepted + ?,
 filtered = filtered + ?, delivered = delivered + ?, dead = dead + ?, purged = purged + ?, replayed = replayed + ?,
 backfilled = backfilled + ?, history = history + ?,
 last_seq = CASE WHEN last_seq < ? THEN ? ELSE last_seq END
 WHERE connector = ? AND bridge = ?`

func (c *change) writeLedgers(bridge string) error {
	for q, d := range c.ledgers {
		if *d == (delta{}) {
			continue
		}
		err := c.exec(addToLedger, d.received, d.duplicates, d.accepted, d.filtered, d.delivered, d.dead, d.purged,
			d.replayed, d.backfilled, d.history, d.lastSeq, d.lastSeq, q.id, bridge)
		if err != nil {
			return err
		}
	}
	return nil
}

// idle tells whether nothing is waiting or running.
func (w *writer) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting) == 0 && w.running.IsZero()
}
