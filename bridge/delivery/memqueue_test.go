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
	fail    func() error    // asked before each Settle and SettleReplay
	claims  []error         // what the next Claims fail with
	settles int             // Settle calls that were stored
	loads   int             // Load calls
	lost    map[uint64]bool // records that another bridge has taken over
	broken  []string        // how the contract was broken
	out     int             // events handed out without an outcome now

	replay queue.Replay
}

type memRecord struct {
	seq    uint64
	events [][]byte
	fates  []queue.Fate
	held   bool

	received time.Time
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
	r := &memRecord{seq: uint64(len(q.records) + 1), fates: make([]queue.Fate, len(events)), received: time.Now()}
	for _, e := range events {
		r.events = append(r.events, []byte(e))
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
		got = q.take(limit)
		return len(got) > 0
	})
	return got, errors.Join(ended, err)
}

func (q *memQueue) take(limit queue.Limit) []*queue.Record {
	var got []*queue.Record
	events, bytes := 0, 0
	for _, r := range q.records {
		if r.held || q.lost[r.seq] || !slices.Contains(r.fates, queue.Pending) {
			continue
		}
		out, size := r.with(queue.Pending), 0
		for _, e := range out.Events {
			size += len(e.Raw)
		}
		if len(got) > 0 && (events+len(out.Events) > limit.Events || bytes+size > limit.Bytes) {
			break
		}
		r.held = true
		events, bytes = events+len(out.Events), bytes+size
		got = append(got, out)
	}
	q.out += events
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
	if !r.held || q.lost[seq] {
		return nil, fmt.Errorf("record %d: %w", seq, queue.ErrNotHeld)
	}
	return r.with(queue.Pending), nil
}

// with is a record with its events that have the fate.
func (r *memRecord) with(fate queue.Fate) *queue.Record {
	out := &queue.Record{Seq: r.seq, Origin: fmt.Sprintf("origin-%d", r.seq), ReceivedAt: r.received}
	for i, raw := range r.events {
		if r.fates[i] == fate {
			out.Events = append(out.Events, queue.Event{Index: i, Raw: slices.Clone(raw)})
		}
	}
	return out
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
	if q.fail != nil {
		if err := q.fail(); err != nil {
			return err
		}
	}
	change()
	q.changed.Broadcast()
	return nil
}

// failing has the next n calls of Settle and SettleReplay fail, all of them where n
// is negative, and returns the number of calls.
func (q *memQueue) failing(n int, err error) *int {
	q.mu.Lock()
	defer q.mu.Unlock()
	calls := 0
	q.fail = func() error {
		if calls++; n < 0 || calls <= n {
			return err
		}
		return nil
	}
	return &calls
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
	q.out--
	return true
}

func (q *memQueue) Release(records ...*queue.Record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range records {
		for i := range r.Events { // a use after this shows
			clear(r.Events[i].Raw)
		}
		q.unhold(q.records[r.Seq-1])
	}
	q.changed.Broadcast()
}

func (q *memQueue) unhold(r *memRecord) {
	if !r.held {
		q.broken = append(q.broken, fmt.Sprintf("record %d released twice", r.seq))
	}
	r.held = false
	q.out -= r.count(queue.Pending)
}

// restart is what a crash leaves: a queue that knows the outcomes that were
// stored and nothing of what was handed out.
func (q *memQueue) restart() *memQueue {
	q.mu.Lock()
	defer q.mu.Unlock()
	again := newMemQueue()
	for _, r := range q.records {
		again.records = append(again.records, &memRecord{seq: r.seq, events: r.events, fates: slices.Clone(r.fates), received: r.received})
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
		n += r.count(fate)
	}
	return n
}

func (r *memRecord) count(fate queue.Fate) (n int) {
	for _, f := range r.fates {
		if f == fate {
			n++
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
			got = q.history(replay.Next, limit)
		}
		return replay.Active()
	})
	return replay, got, err
}

func (q *memQueue) history(next uint64, limit queue.Limit) (got []*queue.Record) {
	events := 0
	for _, r := range q.records[next-1:] {
		out := r.with(queue.Delivered)
		if len(out.Events) == 0 {
			continue
		}
		if events += len(out.Events); events > limit.Events && len(got) > 0 {
			break
		}
		got = append(got, out)
	}
	return got
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
