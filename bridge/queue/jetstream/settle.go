package jetstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/nats-io/nats.go"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

// settling is a settlement as it will be stored.
type settling struct {
	leases map[uint64]*lease
	runs   map[uint64][]run  // by record: what is delivered and what is filtered
	dead   []queue.DeadEvent // those that count
}

// Settle implements queue.Queue. An event that another bridge has settled
// meanwhile keeps that outcome. More than 900 dead letters, or outcomes over
// some thousand records, are stored in several steps, each of which is whole.
func (q *connQueue) Settle(ctx context.Context, s queue.Settlement) error {
	end, err := q.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	for _, step := range steps(s) {
		if err := q.settleStep(ctx, step); err != nil {
			return q.store.endedOr(err)
		}
	}
	return nil
}

// steps cuts a settlement so that each piece fits into one batch of messages.
func steps(s queue.Settlement) (out []queue.Settlement) {
	const spans = 2000 // take less than 16 bytes each
	if len(s.Delivered)+len(s.Filtered) <= spans && len(s.Dead) <= maxLetters {
		return []queue.Settlement{s}
	}
	for part := range slices.Chunk(s.Delivered, spans) {
		out = append(out, queue.Settlement{Delivered: part})
	}
	for part := range slices.Chunk(s.Filtered, spans) {
		out = append(out, queue.Settlement{Filtered: part})
	}
	for part := range slices.Chunk(s.Dead, maxLetters) {
		out = append(out, queue.Settlement{Dead: part})
	}
	return out
}

// settleStep stores one piece. Should a letter's number have been another's,
// its event has no outcome yet and the piece is stored once more.
func (q *connQueue) settleStep(ctx context.Context, s queue.Settlement) error {
	const tries = 5
	for range tries {
		x, err := q.choose(s)
		if err != nil || len(x.runs)+len(x.dead) == 0 {
			return err
		}
		a, err := q.storeOutcome(ctx, x)
		if err != nil {
			return err
		}
		q.seen(ctx, a.seq)
		if q.apply(x, a.seq) {
			return nil
		}
	}
	return errors.New("dead letters could not be stored, other bridges were quicker: settle again")
}

// choose checks a settlement and leaves out what has an outcome.
func (q *connQueue) choose(s queue.Settlement) (settling, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	x := settling{leases: map[uint64]*lease{}, runs: map[uint64][]run{}}
	taken := map[uint64]wire.Bitset{}
	note := func(sp queue.Span, fate queue.Fate) (added bool, err error) {
		l := q.held[sp.Seq]
		if l == nil || !l.out || sp.First < 0 || sp.Last < sp.First || sp.Last >= len(l.spans) {
			return false, fmt.Errorf("record %d, events %d to %d: %w", sp.Seq, sp.First, sp.Last, queue.ErrNotHeld)
		}
		if x.leases[sp.Seq] == nil {
			x.leases[sp.Seq], taken[sp.Seq] = l, slices.Clone(l.settled)
		}
		for i := sp.First; i <= sp.Last; i++ {
			if taken[sp.Seq].Has(i) {
				continue
			}
			taken[sp.Seq].Set(i)
			added = true
			if fate != queue.Dead { // those are in the order of their letters
				x.runs[sp.Seq] = extend(x.runs[sp.Seq], i, fate)
			}
		}
		return added, nil
	}
	for _, sp := range s.Delivered {
		if _, err := note(sp, queue.Delivered); err != nil {
			return x, err
		}
	}
	for _, sp := range s.Filtered {
		if _, err := note(sp, queue.Filtered); err != nil {
			return x, err
		}
	}
	for _, d := range s.Dead {
		added, err := note(queue.Span{Seq: d.Seq, First: d.Index, Last: d.Index}, queue.Dead)
		if err != nil {
			return x, err
		}
		if added {
			x.dead = append(x.dead, d)
		}
	}
	return x, nil
}

// extend adds event i to runs, to the newest one where it goes on.
func extend(runs []run, i int, fate queue.Fate) []run {
	if n := len(runs); n > 0 && runs[n-1].fate == fate && runs[n-1].first+runs[n-1].count == i {
		runs[n-1].count++
		return runs
	}
	return append(runs, run{first: i, count: 1, fate: fate})
}

// storeOutcome stores what was chosen, with the dead letters.
func (q *connQueue) storeOutcome(ctx context.Context, x settling) (ack, error) {
	nonce := q.store.nonce.Add(1)
	make := func(number uint64) ([]*nats.Msg, error) {
		letters, numbers := q.lettersOf(x, number)
		e := entry{kind: kindOutcome, writer: q.store.bridge, nonce: nonce, claims: x.claims(numbers)}
		return append(letters, message(q.names.of(wordLog), e, nil, q.idOf(nonce))), nil
	}
	var a ack
	var err error
	if len(x.dead) == 0 {
		messages, _ := make(0)
		a, err = q.store.publishOutcome(ctx, messages...)
	} else {
		a, err = q.bury(ctx, q.store.publishOutcome, make)
	}
	if errors.Is(err, errRepeat) { // its acknowledgement got lost
		err = q.sync(ctx)
	}
	return a, err
}

// lettersOf makes the letters of a settlement and tells their numbers.
func (q *connQueue) lettersOf(x settling, number uint64) (messages []*nats.Msg, numbers map[uint64]map[int]uint64) {
	now := q.store.opts.Now()
	numbers = map[uint64]map[int]uint64{}
	for _, d := range x.dead {
		l := x.leases[d.Seq]
		sp := l.spans[d.Index]
		messages = append(messages, q.letterMessage(queue.DeadLetter{
			Number: number, ReceivedAt: l.received, DiedAt: now, Reason: d.Reason, Status: d.Status,
			Answer: d.Answer, Attempts: d.Attempts, Event: l.body[sp.Start:sp.End],
		}))
		if numbers[d.Seq] == nil {
			numbers[d.Seq] = map[int]uint64{}
		}
		numbers[d.Seq][d.Index] = number
		number++
	}
	return messages, numbers
}

// claims makes of what was chosen what the message says. Those of dead events
// come last and in the order of their letters, so that the numbers are counted in
// their order.
func (x settling) claims(numbers map[uint64]map[int]uint64) (claims []claim) {
	for _, seq := range slices.Sorted(maps.Keys(x.runs)) {
		claims = append(claims, claim{seq: seq, events: len(x.leases[seq].spans), runs: slices.Clip(x.runs[seq])})
	}
	for _, d := range x.dead {
		if n := len(claims); n == 0 || claims[n-1].seq != d.Seq {
			claims = append(claims, claim{seq: d.Seq, events: len(x.leases[d.Seq].spans)})
		}
		c := &claims[len(claims)-1]
		c.runs = append(c.runs, run{first: d.Index, count: 1, fate: queue.Dead, number: numbers[d.Seq][d.Index]})
	}
	return claims
}

// apply notes what is settled; false: some events have no outcome after all.
func (q *connQueue) apply(x settling, at uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	whole := true
	for _, c := range x.claims(nil) {
		l := x.leases[c.seq]
		l.claimed = max(l.claimed, at)
		q.fold.mu.Lock()
		known := q.fold.totals.seq >= at
		it := q.fold.pending.find(c.seq)
		for _, r := range c.runs {
			for i := r.first; i < r.first+r.count; i++ {
				if known && it != nil && !it.has(i) {
					whole = false
					continue
				}
				l.settle(i)
			}
		}
		q.fold.mu.Unlock()
		if q.held[c.seq] == l {
			q.finish(l)
		}
	}
	return whole
}
