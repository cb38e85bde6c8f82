package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
	"github.com/currentsbridge/currentsbridge/internal/progress"
)

// The writer is the one goroutine that changes the store. It commits every
// append and settlement that is waiting in one transaction, up to maxGroup bytes,
// so that concurrent requests share one fsync.
const (
	maxGroup  = 8 << 20
	maxQueued = 128 << 20 // bytes of operations that may wait; more are rejected

	// A transaction waits for more operations for half of the time that the last one
	// took, within these bounds; for the lower one where the writer was idle.
	minGather = 300 * time.Microsecond
	maxGather = 5 * time.Millisecond
)

// op is one operation for the writer.
type op struct {
	size int
	need sqldb.Need
	// do writes. ErrNotHeld and ErrReplaying are this operation's alone and mean
	// that it has written nothing; any other error undoes the whole transaction.
	do func(*change) error
	// apart says that what it removes may be damaged: then it fails alone, with nothing
	// done, and the store goes on.
	apart bool

	begun    time.Time
	refusal  error
	finished chan error
}

// change is a transaction of the writer while it runs. What it adds to a queue is
// applied in memory after the commit, except ids: they are added to the window
// before it, and taken out where it fails.
type change struct {
	sqldb.Tx
	sqldb.Ready

	parts map[*Queue]*part
	at    *op // runs now, or has failed
}

// seq hands out the next of the drawn sequence numbers.
func (c *change) seq() int64 {
	n := c.Seqs[0]
	c.Seqs = c.Seqs[1:]
	return n
}

// of returns what the transaction adds to a queue.
func (c *change) of(q *Queue) *part {
	p := c.parts[q]
	if p == nil {
		p = &part{from: q.window.Next(), states: map[int64]*sqldb.Record{}}
		c.parts[q] = p
	}
	return p
}

// state returns a claimed record as the transaction has it, for a change; nil: this
// bridge does not have it.
func (c *change) state(q *Queue, seq int64) *sqldb.Record {
	p := c.of(q)
	if s := p.states[seq]; s != nil {
		return s
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	claim := q.claims[seq]
	now, asked := c.Held[seq]
	if asked && now == nil { // or it would be handed out, and delivered, again and again
		delete(q.claims, seq)
		return nil
	}
	if claim == nil {
		return nil
	}
	s := claim.Record
	if now != nil { // the answer to the commit of another settlement may have been lost
		s.Pending, s.Outcome = now.Pending, now.Outcome
	}
	p.states[seq] = &s
	return &s
}

type writer struct {
	store *Store
	wake  chan struct{}
	ended chan struct{}
	took  time.Duration // by the last transaction; for the loop alone

	mu      sync.Mutex
	waiting []*op
	queued  int       // bytes of the waiting and the running
	running time.Time // when the transaction that runs began; zero: none
	last    int       // operations in the last transaction
	closed  bool
	failed  error // wraps ErrFailed
	away    error // what the last transaction failed with, if it may pass
}

// run queues an operation and waits until it is durable, until ctx ends, or for
// the timeout of the store. After the last two it may be stored all the same.
func (w *writer) run(ctx context.Context, o *op) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.submit(o); err != nil {
		return err
	}
	timer := time.NewTimer(w.store.opts.AppendTimeout)
	defer timer.Stop()
	var err error
	select {
	case err := <-o.finished:
		return err
	case <-timer.C:
		err = fmt.Errorf("%w: a commit takes longer than %s", ErrAway, w.store.opts.AppendTimeout)
	case <-ctx.Done():
		err = fmt.Errorf("%w: %w", ErrAway, ctx.Err())
	}
	if w.withdraw(o) && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

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
	signal(w.wake)
	return nil
}

// signal wakes the goroutine that waits for the channel, which keeps one signal.
func signal(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// withdraw takes an operation back whose transaction has not begun.
func (w *writer) withdraw(o *op) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := slices.Index(w.waiting, o)
	if at < 0 {
		return false
	}
	w.waiting = slices.Delete(w.waiting, at, at+1)
	w.queued -= o.size
	return true
}

// loop commits until the writer is closed and nothing is waiting any more.
func (w *writer) loop() {
	defer close(w.ended)
	for {
		group, size := w.next()
		if group == nil {
			return
		}
		began := time.Now()
		w.commit(group)
		w.took = time.Since(began)
		w.mu.Lock()
		w.queued -= size
		w.mu.Unlock()
	}
}

// next waits for operations and takes as many as fit into one transaction; none
// once the writer is closed and nothing is waiting any more.
func (w *writer) next() (group []*op, size int) {
	for closed := false; len(group) == 0 && !closed; { // what was waiting may have been withdrawn
		w.gather()
		group, size, closed = w.take()
	}
	return group, size
}

// take takes as many operations as fit into one transaction.
func (w *writer) take() (group []*op, size int, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for n < len(w.waiting) && (n == 0 || size+w.waiting[n].size <= maxGroup) {
		size += w.waiting[n].size
		n++
	}
	if n > 0 {
		group = slices.Clone(w.waiting[:n])
		w.waiting = slices.Delete(w.waiting, 0, n)
		w.running, w.last = group[0].begun, n
	}
	return group, size, w.closed
}

// gather returns once operations are waiting, or the writer is closed. Where the
// last transaction had several, it waits for more: the callers that were answered
// send their next operations at once, and these would be split over two transactions.
func (w *writer) gather() {
	longer := min(max(minGather, w.took/2), maxGather) // the writer is busy
	for {
		w.mu.Lock()
		n, last, enough := len(w.waiting), w.last, w.closed || w.queued >= maxGroup
		w.mu.Unlock()
		switch {
		case enough || n > 0 && last == 1:
			return
		case n > 0:
			if longer > minGather || n < last {
				time.Sleep(longer)
			}
			return
		}
		<-w.wake
		longer = minGather
	}
}

// commit runs a group in one transaction and tells each operation its end.
func (w *writer) commit(group []*op) {
	if failed, _ := w.state(); failed != nil {
		w.finish(group, failed)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), w.store.opts.commitTimeout())
	defer cancel()
	c := &change{}
	err := w.store.db.Update(ctx, needOf(group), func(t sqldb.Tx, ready sqldb.Ready) error {
		c.undo()
		c.Tx, c.Ready, c.parts = t, ready, map[*Queue]*part{}
		w.store.learn(ready)
		return c.run(group)
	})
	if err != nil {
		c.undo()
		if c.at == nil || !c.at.apart || !w.store.db.Corrupt(err) {
			w.finish(group, w.failure(err))
			return
		}
		w.finish([]*op{c.at}, w.store.db.Classify(err))
		if group = slices.DeleteFunc(group, func(o *op) bool { return o == c.at }); len(group) > 0 {
			w.commit(group)
		}
		return
	}
	crashpoint.At("commit.after")
	for q, p := range c.parts {
		q.committed(p)
	}
	w.finish(group, nil)
}

// undo takes the ids of a transaction that has failed out of the windows.
func (c *change) undo() {
	for q, p := range c.parts {
		q.window.Forget(p.from)
	}
}

// run runs the operations of a group.
func (c *change) run(group []*op) error {
	known := c.Known
	for _, o := range group {
		n := len(o.need.Content)
		c.Known, known = known[:n], known[n:]
		c.at = o
		if o.refusal = o.do(c); o.refusal != nil && !sqldb.AnyOf(o.refusal, ErrNotHeld, ErrReplaying) {
			return o.refusal
		}
	}
	c.at = nil
	for q := range c.parts {
		if err := c.end(q); err != nil {
			return err
		}
	}
	crashpoint.At("commit.before")
	return nil
}

// needOf is what a group needs before it begins to write.
func needOf(group []*op) (need sqldb.Need) {
	for _, o := range group {
		need.Records += o.need.Records
		need.Held = append(need.Held, o.need.Held...)
		need.Content = append(need.Content, o.need.Content...)
	}
	return need
}

// finish ends a transaction: before an operation hears of it, so that a caller finds
// the writer idle if nothing else is waiting.
func (w *writer) finish(group []*op, err error) {
	w.mu.Lock()
	w.running = time.Time{}
	if w.away = nil; errors.Is(err, ErrAway) {
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

// failure makes one of this package's errors of what a transaction failed with. Where
// that is for good, nothing is stored any more.
func (w *writer) failure(err error) error {
	err = w.store.db.Classify(err)
	w.mu.Lock()
	first := errors.Is(err, ErrFailed) && w.failed == nil
	if first {
		w.failed = err
	}
	w.mu.Unlock()
	if first {
		w.store.log.Error("nothing can be stored any more", "error", err)
		w.store.wakeAll()
	}
	return err
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
	w.closed = true
	w.mu.Unlock()
	signal(w.wake)
	<-w.ended
}

// idle tells whether nothing is waiting or running.
func (w *writer) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting) == 0 && w.running.IsZero()
}
