package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/body"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// Claim hands out pending records, oldest first, that are not claimed already;
// backfilled ones where there are no others. It waits until there is one or ctx
// ends. Each record goes back with Release, settled or not. With the store's end it
// returns ErrClosed.
func (q *Queue) Claim(ctx context.Context, limit Limit) (records []*Record, err error) {
	err = q.waitFor(ctx, &q.more, func() (bool, error) {
		if records, err = q.claimOf(ctx, liveStream, limit); err == nil && len(records) == 0 {
			records, err = q.claimOf(ctx, backfillStream, limit)
		}
		return len(records) > 0, err
	})
	return records, err
}

// waitFor calls look until it returns true: each time that the channel is closed, and
// now and then where bridges share the store.
func (q *Queue) waitFor(ctx context.Context, changed *chan struct{}, look func() (bool, error)) error {
	for {
		q.mu.Lock()
		more := *changed
		q.mu.Unlock()
		if err := cmp.Or(q.store.stopped(), ctx.Err()); err != nil {
			return err
		}
		if found, err := look(); found || err != nil {
			return err
		}
		var tick <-chan time.Time
		if q.store.shared {
			tick = time.After(200 * time.Millisecond) // other bridges may have stored something
		}
		select {
		case <-more:
		case <-tick:
		case <-ctx.Done():
		case <-q.store.ended.Done():
		}
	}
}

// claimOf claims what there is now of a stream. A record that cannot be read is
// quarantined.
func (q *Queue) claimOf(ctx context.Context, from int64, limit Limit) ([]*Record, error) {
	chosen, limit := q.choose(from, nil, limit)
	if limit.Events > 0 && limit.Bytes > 0 {
		if err := q.refill(ctx, from, limit); err != nil && len(chosen) == 0 {
			return nil, err
		}
		chosen, _ = q.choose(from, chosen, limit)
	}
	if len(chosen) == 0 {
		return nil, nil
	}
	records, err := q.readRecords(ctx, chosen, outPending)
	if err == nil {
		return records, nil
	}
	bad := chosen[len(records)].Seq
	q.mu.Lock()
	for _, r := range chosen[len(records):] {
		q.giveBack(r.Seq)
	}
	q.mu.Unlock()
	if errors.Is(err, body.ErrDamaged) {
		err = q.store.quarantine(ctx, q, bad, err)
	}
	if len(records) > 0 {
		err = nil // the next call finds it again
	}
	return records, q.store.db.Classify(err)
}

// choose adds records that wait to be handed out to chosen, within the limit, and
// returns what is left of the limit; nothing is left where the next one is too
// large.
func (q *Queue) choose(from int64, chosen []claim, limit Limit) ([]claim, Limit) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, ready := 0, &q.streams[from].ready
	for _, seq := range *ready {
		c := q.claims[seq]
		gone := c == nil || c.Pending == 0 // another bridge has it, or a settlement came to its end after it was released
		if !gone && len(chosen) > 0 && (int(c.Pending) > limit.Events || int(c.Size) > limit.Bytes) {
			limit = Limit{}
			break
		}
		n++
		if c != nil && c.fresh.All != nil {
			q.fresh -= c.Size
		}
		if gone {
			delete(q.claims, seq)
			continue
		}
		limit.Events -= int(c.Pending)
		limit.Bytes -= int(c.Size)
		chosen = append(chosen, *c)
		c.out, c.fresh = true, body.Events{}
	}
	*ready = slices.Delete(*ready, 0, n)
	return chosen, limit
}

// refill claims more records from the database.
func (q *Queue) refill(ctx context.Context, from int64, limit Limit) error {
	q.reading.Lock()
	defer q.reading.Unlock()
	q.mu.Lock()
	l := &q.streams[from]
	after, last, waiting := l.cursor, q.last, len(l.ready)
	q.mu.Unlock()
	if waiting > 0 || !q.store.shared && after == last {
		return nil // another caller has done it, or there are no more
	}
	n := min(limit.Events, 256)
	rows, err := q.store.db.Claim(ctx, q.id, from, after, n, q.held)
	if err != nil {
		return q.store.db.Classify(err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range rows {
		l.cursor = max(l.cursor, r.Seq)
		if q.claims[r.Seq] == nil {
			q.makeReady(&claim{Record: r})
		}
	}
	if !q.store.shared && len(rows) < n {
		l.cursor = max(l.cursor, last)
	}
	return nil
}

// makeReady has a claimed record wait to be handed out. mu must be held.
func (q *Queue) makeReady(c *claim) {
	q.claims[c.Seq] = c
	ready := &q.streams[c.Stream].ready
	at, _ := slices.BinarySearch(*ready, c.Seq)
	*ready = slices.Insert(*ready, at, c.Seq)
}

// readRecords reads records in the order of their numbers, and of each the events
// with this outcome. On an error the records before the one that cannot be read
// are returned too.
func (q *Queue) readRecords(ctx context.Context, list []claim, outcome byte) (records []*Record, err error) {
	crashpoint.At("claim.before-read")
	for alone := false; len(records) < len(list); alone = err != nil { // what is damaged may be another one
		rest, n := list[len(records):], 1
		var bodies []body.Decoded
		if fresh := rest[0].fresh; fresh.All != nil {
			bodies, err = []body.Decoded{{Events: fresh}}, nil
		} else {
			for !alone && n < len(rest) && rest[n].fresh.All == nil && rest[n].Seq-rest[n-1].Seq <= 4 && rest[n].Seq>>32 == rest[0].Seq>>32 {
				n++
			}
			bodies, _, err = q.readBodies(ctx, rest[:n])
		}
		for i, b := range bodies {
			records = append(records, q.record(rest[i], b, outcome))
		}
		if err != nil && (n == 1 || !errors.Is(err, body.ErrDamaged)) {
			return records, err
		}
	}
	return records, nil
}

func (q *Queue) record(s claim, b body.Decoded, outcome byte) *Record {
	r := &Record{Seq: uint64(s.Seq), ReceivedAt: time.UnixMicro(s.Received), bytes: b.All,
		Origin: q.store.name + "-" + strconv.FormatInt(s.Seq, 36), Events: make([]Event, 0, len(b.Lengths))}
	var out []byte
	if s.Outcome != nil || s.Pending < s.Events {
		out = outcomes(s.Record)
	}
	for i, raw := range b.Split() {
		if out == nil && outcome == outPending || out != nil && out[i] == outcome {
			r.Events = append(r.Events, Event{Index: i, Raw: raw})
		}
	}
	return r
}

// readBodies reads the bodies of records that are next to each other in one table,
// in the order of their numbers. The error wraps body.ErrDamaged where one is damaged or
// missing; those before it are returned, and beside them what could be read of it.
func (q *Queue) readBodies(ctx context.Context, list []claim) (bodies []body.Decoded, rest body.Decoded, err error) {
	data := body.Buffer()
	defer func() { body.Give(data) }()
	err = q.store.db.View(ctx, func(t sqldb.Tx) error {
		return t.Query(`SELECT seq, data FROM `+q.store.db.Body(list[0].Seq)+` WHERE seq >= $1 AND seq <= $2 ORDER BY seq`, func(r sqldb.Row) error {
			s := list[len(bodies)]
			var seq int64
			if err := r.Scan(&seq); err != nil || seq < s.Seq {
				return err
			}
			if seq > s.Seq {
				return sqldb.ErrStop
			}
			if err := r.Scan(&seq, data); err != nil {
				return fmt.Errorf("%w: %w", body.ErrDamaged, err)
			}
			b, err := body.Decode(*data)
			if err == nil && s.Events > 0 && int64(len(b.Lengths)) != s.Events {
				err = fmt.Errorf("%w: %d events instead of %d", body.ErrDamaged, len(b.Lengths), s.Events)
			}
			if err != nil {
				rest = b
				return err
			}
			bodies = append(bodies, b)
			return nil
		}, list[0].Seq, list[len(list)-1].Seq)
	})
	switch {
	case len(bodies) == len(list):
		err = nil // all were read, however the transaction ended
	case err == nil:
		err = fmt.Errorf("%w: it is missing", body.ErrDamaged)
	case q.store.db.Corrupt(err) && !errors.Is(err, body.ErrDamaged):
		_ = q.store.db.Classify(err) // has the next start rebuild the file
		if b, bad := q.salvage(list[len(bodies)].Seq); bad == nil {
			q.store.noteFile(err)
			return append(bodies, b), rest, nil
		}
		err = fmt.Errorf("%w: %w", body.ErrDamaged, err)
	}
	return bodies, rest, err
}

// salvage reads a body that is whole where a page above it is not: it has a checksum of
// its own, and is that of its record where connector, time and number of events agree.
func (q *Queue) salvage(seq int64) (b body.Decoded, err error) {
	err = q.store.db.ViewUnchecked(func(t sqldb.Tx) error {
		s, err := readState(t, seq)
		if err != nil {
			return err
		}
		var data []byte
		err = t.Query(`SELECT data FROM `+q.store.db.Body(seq)+` WHERE seq = $1`, func(r sqldb.Row) error { return r.Scan(&data) }, seq)
		if err == nil {
			b, err = body.Decode(data)
		}
		if err == nil && (b.Connector != q.id || b.Received != s.Received || int64(len(b.Lengths)) != s.Events) {
			err = body.ErrDamaged
		}
		return err
	})
	return b, err
}

// readBody reads the body of a record, or what can be read of it.
func (q *Queue) readBody(ctx context.Context, seq int64) (body.Decoded, error) {
	bodies, rest, err := q.readBodies(ctx, []claim{{Record: sqldb.Record{Seq: seq}}})
	if err == nil {
		return bodies[0], nil
	}
	return rest, err
}

// Load reads the events of a claimed record again that have no outcome. It
// returns ErrNotHeld for a record that is not claimed.
func (q *Queue) Load(ctx context.Context, seq uint64) (*Record, error) {
	q.mu.Lock()
	c := q.claims[int64(seq)]
	if c == nil || !c.out {
		q.mu.Unlock()
		return nil, fmt.Errorf("%w: record %d", ErrNotHeld, seq)
	}
	chosen := *c
	q.mu.Unlock()
	records, err := q.readRecords(ctx, []claim{chosen}, outPending)
	switch {
	case err == nil:
		return records[0], nil
	case !errors.Is(err, body.ErrDamaged):
		return nil, q.store.db.Classify(err)
	}
	if err := q.store.quarantine(ctx, q, int64(seq), err); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: record %d is damaged", ErrNotHeld, seq)
}

// Release gives back what is not settled of the records; it is claimed again
// before what came later. The records and their bytes must not be used
// afterwards. It must be called once for each claimed record, never blocks and
// may be called after Close.
func (q *Queue) Release(records ...*Record) {
	for _, r := range records {
		body.Give(r.bytes)
		r.bytes = nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range records {
		q.giveBack(int64(r.Seq))
	}
}

// giveBack takes back a record that was handed out. mu must be held.
func (q *Queue) giveBack(seq int64) {
	c := q.claims[seq]
	if c == nil || !c.out {
		return
	}
	if c.out = false; c.Pending == 0 {
		delete(q.claims, seq)
		return
	}
	q.makeReady(c)
	wake(&q.more)
}

// held returns the numbers of the records that are claimed.
func (q *Queue) held() []int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.AppendSeq([]int64{}, maps.Keys(q.claims))
}

// dropClaims forgets all claims: other bridges may have the records by now.
func (q *Queue) dropClaims() {
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(q.claims)
	clear(q.streams[:])
}

// Outcomes of an event in the column record.outcome.
const (
	outPending byte = iota
	outDelivered
	outFiltered
	outDead
	outErased
)

// Settle stores outcomes in one commit and returns once they are on disk. Events
// of a claimed record that no Settlement has named stay claimed. The records
// that it names must be claimed and not released, else it fails with ErrNotHeld.
// An event that has an outcome keeps it: naming it again, in the same
// Settlement or a later one, counts nothing (of one Settlement, Delivered goes
// before Filtered before Dead). ErrFull and ErrAway mean: call it again with the
// same Settlement. A record that another bridge has claimed meanwhile, because
// this one did not answer for too long, is left to that bridge.
func (q *Queue) Settle(ctx context.Context, s Settlement) error {
	st := &settling{q: q}
	if err := st.prepare(ctx, s); err != nil || len(st.need.Held) == 0 {
		return err
	}
	if err := q.store.space.admitOutcome(); err != nil {
		return err
	}
	crashpoint.At("settle.before")
	err := q.store.writer.run(ctx, &st.op)
	crashpoint.At("settle.after")
	return err
}

// settling is a Settlement that waits for the writer, or is in it.
type settling struct {
	op
	q     *Queue
	named []named
}

// named is what a Settlement says of some events.
type named struct {
	Span
	outcome byte
	dead    *DeadEvent // nil: they are not dead
	event   []byte     // of a dead event; nil: it cannot be read
	altered bool       // it does not match its checksum
}

func (st *settling) prepare(ctx context.Context, s Settlement) error {
	for _, span := range s.Delivered {
		st.named = append(st.named, named{Span: span, outcome: outDelivered})
	}
	for _, span := range s.Filtered {
		st.named = append(st.named, named{Span: span, outcome: outFiltered})
	}
	bodies, events := map[uint64]body.Decoded{}, map[uint64][][]byte{}
	for i := range s.Dead {
		d := &s.Dead[i]
		b, there := bodies[d.Seq]
		if !there {
			var err error
			if b, err = st.q.readBody(ctx, int64(d.Seq)); err != nil && !errors.Is(err, body.ErrDamaged) {
				return st.q.store.db.Classify(err)
			}
			bodies[d.Seq], events[d.Seq] = b, b.Split()
		}
		n := named{Span: Span{d.Seq, d.Index, d.Index}, outcome: outDead, dead: d}
		if list := events[d.Seq]; d.Index >= 0 && d.Index < len(list) {
			n.event, n.altered = list[d.Index], b.Altered(d.Index)
		}
		st.named = append(st.named, n)
		st.size += len(n.event) + 200
	}
	for _, n := range st.named {
		st.need.Held = append(st.need.Held, int64(n.Seq))
	}
	slices.Sort(st.need.Held)
	st.need.Held = slices.Compact(st.need.Held)
	st.size += 200 * len(st.need.Held)
	st.do = st.write
	return nil
}

const updateRecord = `UPDATE record SET pending = $1, outcome = $2, settled = $3 WHERE seq = $4`

func (st *settling) write(c *change) error {
	q := st.q
	if err := st.check(); err != nil {
		return err
	}
	p := c.of(q)
	column := [...]int{outDelivered: delivered, outFiltered: filtered, outDead: dead}
	for _, n := range st.named {
		events := c.mark(q, n)
		p.sums[column[n.outcome]] += events
		if n.dead == nil || events == 0 {
			continue
		}
		l := DeadLetter{ReceivedAt: time.UnixMicro(p.states[int64(n.Seq)].Received), Reason: n.dead.Reason, Status: n.dead.Status,
			Answer: n.dead.Answer, Attempts: n.dead.Attempts, Events: 1, Altered: n.altered, Event: n.event}
		if n.altered {
			l.Reason = ReasonDamaged
		}
		if err := q.insertLetter(c, l); err != nil {
			return err
		}
	}
	now := time.Now().UnixMicro()
	for _, seq := range st.need.Held {
		if s := p.states[seq]; s != nil {
			if err := c.Exec(updateRecord, s.Pending, s.Outcome, now, seq); err != nil {
				return err
			}
		}
	}
	return nil
}

// check finds out whether all that is named is claimed.
func (st *settling) check() error {
	q := st.q
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, n := range st.named {
		c := q.claims[int64(n.Seq)]
		switch {
		case c == nil && q.store.shared: // another bridge has it by now
		case c == nil || !c.out:
			return fmt.Errorf("%w: record %d", ErrNotHeld, n.Seq)
		case n.First < 0 || n.Last < n.First || int64(n.Last) >= c.Events:
			return fmt.Errorf("%w: record %d has no events %d to %d", ErrNotHeld, n.Seq, n.First, n.Last)
		}
	}
	return nil
}

// mark gives events their outcome and returns how many had none. Only the writer
// changes outcomes, so what it finds is what is stored.
func (c *change) mark(q *Queue, n named) (events int64) {
	s := c.state(q, int64(n.Seq))
	if s == nil || s.Pending == 0 {
		return 0
	}
	if n.outcome == outDelivered && s.Outcome == nil && int64(n.Last-n.First) == s.Events-1 {
		events = s.Events // the usual case needs no byte an event
	} else {
		s.Outcome = outcomes(*s)
		for i := n.First; i <= n.Last; i++ {
			if s.Outcome[i] == outPending {
				s.Outcome[i] = n.outcome
				events++
			}
		}
	}
	if s.Pending -= events; s.Pending > 0 {
		return events
	}
	c.of(q).sums[history] += s.Stored
	if !slices.ContainsFunc(s.Outcome, func(o byte) bool { return o != outDelivered }) {
		s.Outcome = nil
	}
	return events
}

// outcomes returns a byte for each event of a record.
func outcomes(s sqldb.Record) []byte {
	if int64(len(s.Outcome)) == s.Events {
		return slices.Clone(s.Outcome)
	}
	out := make([]byte, s.Events)
	if s.Pending == 0 {
		for i := range out {
			out[i] = outDelivered
		}
	}
	return out
}
