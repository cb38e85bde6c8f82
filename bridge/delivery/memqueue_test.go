package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// memQueue is a queue in memory that keeps to the contract of queue.Queue as
// far as delivery uses it, and checks that delivery does.
type memQueue struct {
	mu      sync.Mutex
	changed sync.Cond
	records []*memRecord
	dead    []queue.DeadEvent
	fails   error    // of the next Settles and SettleReplays,
	failing int      // so many
	claims  []error  // what the next Claims fail with
	settles int      // Settle calls that were stored
	loads   int      // Load calls
	broken  []string // how the contract was broken

	replay queue.Replay
}

type memRecord struct {
	queue.Record // with all events

	fates []queue.Fate
	held  bool
}

func newMemQueue() *memQueue {
	q := &memQueue{}
	q.changed.L = &q.mu
	return q
}

// put adds a record.
func (q *memQueue) put(events ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	seq := uint64(len(q.records) + 1)
	r := &memRecord{
		Record: queue.Record{Seq: seq, Origin: fmt.Sprintf("origin-%d", seq), ReceivedAt: time.Now()},
		fates:  make([]queue.Fate, len(events)), // Pending
	}
	for i, e := range events {
		r.Events = append(r.Events, queue.Event{Index: i, Raw: []byte(e)})
	}
	q.records = append(q.records, r)
	q.changed.Broadcast()
}

// fill adds records of so many events each.
func (q *memQueue) fill(prefix string, records, each int) {
	for i := range records {
		q.put(events(fmt.Sprint(prefix, i), each)...)
	}
}

// await waits until done says so; it is asked with the lock held, at each change.
func (q *memQueue) await(ctx context.Context, done func() bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer context.AfterFunc(ctx, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.changed.Broadcast()
	})()
	for ctx.Err() == nil {
		if done() {
			return nil
		}
		q.changed.Wait()
	}
	return ctx.Err()
}

func (q *memQueue) Claim(ctx context.Context, limit queue.Limit) (got []*queue.Record, err error) {
	ended := q.await(ctx, func() bool {
		if len(q.claims) > 0 {
			err, q.claims = q.claims[0], q.claims[1:]
			return true
		}
		got = q.read(1, queue.Pending, limit)
		return len(got) > 0
	})
	return got, errors.Join(ended, err)
}

// read returns the events of a fate from a record on, as many as fit. What is
// pending is claimed.
func (q *memQueue) read(from uint64, fate queue.Fate, limit queue.Limit) (got []*queue.Record) {
	events, bytes := 0, 0
	for _, r := range q.records[from-1:] {
		claim := fate == queue.Pending
		if !slices.Contains(r.fates, fate) || claim && r.held {
			continue
		}
		out := r.with(fate)
		for _, e := range out.Events {
			bytes += len(e.Raw)
		}
		if events += len(out.Events); len(got) > 0 && (events > limit.Events || bytes > limit.Bytes) {
			break
		}
		r.held = r.held || claim
		got = append(got, out)
	}
	return got
}

// Load reads a claimed record again.
func (q *memQueue) Load(ctx context.Context, seq uint64) (*queue.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.loads++
	r := q.records[seq-1]
	if !r.held || !slices.Contains(r.fates, queue.Pending) {
		return nil, fmt.Errorf("record %d: %w", seq, queue.ErrNotHeld)
	}
	return r.with(queue.Pending), nil
}

// with is a record with its events that have the fate.
func (r *memRecord) with(fate queue.Fate) *queue.Record {
	out := r.Record
	out.Events = nil
	for i, e := range r.Events {
		if r.fates[i] == fate {
			out.Events = append(out.Events, queue.Event{Index: i, Raw: slices.Clone(e.Raw)})
		}
	}
	return &out
}

func (q *memQueue) Settle(ctx context.Context, s queue.Settlement) error {
	return q.store(ctx, func() {
		q.settles++
		for fate, spans := range map[queue.Fate][]queue.Span{queue.Delivered: s.Delivered, queue.Filtered: s.Filtered} {
			for _, span := range spans {
				for i := span.First; i <= span.Last; i++ {
					q.set(span.Seq, i, fate)
				}
			}
		}
		for _, d := range s.Dead {
			if q.set(d.Seq, d.Index, queue.Dead) {
				q.dead = append(q.dead, d)
			}
		}
	})
}

// store makes a change unless it is to fail.
func (q *memQueue) store(ctx context.Context, change func()) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if q.failing > 0 {
		q.failing--
		return q.fails
	}
	change()
	q.changed.Broadcast()
	return nil
}

// fail has the next n calls of Settle and SettleReplay fail.
func (q *memQueue) fail(n int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failing, q.fails = n, err
}

func (q *memQueue) set(seq uint64, index int, fate queue.Fate) bool {
	r := q.records[seq-1]
	if !r.held {
		q.broken = append(q.broken, fmt.Sprintf("record %d settled, not held", seq))
	}
	if r.fates[index] != queue.Pending {
		q.broken = append(q.broken, fmt.Sprintf("event %d/%d settled twice", seq, index))
		return false
	}
	r.fates[index] = fate
	return true
}

func (q *memQueue) Release(records ...*queue.Record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range records {
		for i := range r.Events { // a use after this shows
			clear(r.Events[i].Raw)
		}
		if own := q.records[r.Seq-1]; !own.held {
			q.broken = append(q.broken, fmt.Sprintf("record %d released twice", r.Seq))
		} else {
			own.held = false
		}
	}
	q.changed.Broadcast()
}

// restart is what a crash leaves: a queue that knows the outcomes that were
// stored and nothing of what was handed out.
func (q *memQueue) restart() *memQueue {
	q.mu.Lock()
	defer q.mu.Unlock()
	again := newMemQueue()
	for _, r := range q.records {
		again.records = append(again.records, &memRecord{Record: r.Record, fates: slices.Clone(r.fates)})
	}
	again.dead, again.replay = slices.Clone(q.dead), q.replay
	return again
}

// count returns how many events have the fate.
func (q *memQueue) count(fate queue.Fate) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.countLocked(fate)
}

func (q *memQueue) countLocked(fate queue.Fate) (n int) {
	for _, r := range q.records {
		for _, f := range r.fates {
			if f == fate {
				n++
			}
		}
	}
	return n
}

// order starts a replay of everything.
func (q *memQueue) order(order queue.ReplayOrder) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.replay = queue.Replay{Number: q.replay.Number + 1, Order: order, StartedAt: time.Now(), Next: 1}
	q.changed.Broadcast()
}

func (q *memQueue) FetchReplay(ctx context.Context, limit queue.Limit) (replay queue.Replay, got []*queue.Record, err error) {
	err = q.await(ctx, func() bool {
		if replay = q.replay; replay.Active() {
			got = q.read(replay.Next, queue.Delivered, limit)
		}
		return replay.Active()
	})
	return replay, got, err
}

func (q *memQueue) SettleReplay(ctx context.Context, p queue.ReplayProgress) error {
	return q.store(ctx, func() {
		if p.Number != q.replay.Number || !q.replay.Active() {
			return
		}
		if p.Next < q.replay.Next {
			q.broken = append(q.broken, fmt.Sprintf("replay went back from %d to %d", q.replay.Next, p.Next))
		}
		q.replay.Next = p.Next
		q.replay.Replayed += p.Replayed
		q.replay.Refused += p.Refused
		q.replay.Skipped += p.Skipped
		if p.End {
			q.replay.EndedAt = time.Now()
		}
	})
}

// replayed returns the replay as it is now.
func (q *memQueue) replayed() queue.Replay {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.replay
}
