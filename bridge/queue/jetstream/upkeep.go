package jetstream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

const (
	totalsAfter = 512              // messages after which the totals are stored
	totalsEvery = 30 * time.Second // or this time, if there were any
	agesKept    = 64               // marks of what was done when
	pressure    = 8                // the part of history, one in so many, that is given up where there is no room
)

// upkeep does from time to time what makes room and lets the next start be quick.
func (q *connQueue) upkeep() {
	for sleep(q.store.ctx, q.store.opts.every) {
		q.look(q.store.ctx)
	}
}

func (q *connQueue) look(ctx context.Context) {
	q.tidyMu.Lock()
	defer q.tidyMu.Unlock()
	q.measure(ctx)
	q.guardReplay(ctx)
	q.fold.mu.Lock()
	behind := q.fold.totals.seq - min(max(q.fold.covered, q.fold.stored), q.fold.totals.seq)
	gone := len(q.fold.gone)
	q.fold.mu.Unlock()
	if behind >= totalsAfter || behind > 0 && time.Since(q.tidied) > totalsEvery {
		q.tidy(ctx)
	}
	if gone > 0 && behind > 0 {
		q.sweepLetters(ctx)
	}
	q.retain(ctx)
}

// measure asks how much the stream takes, and how far it goes.
func (q *connQueue) measure(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	if info, err := q.js.Info(ctx); err == nil {
		q.bytes.Store(int64(info.State.Bytes))
		q.watch(ctx, info.State.LastSeq)
	}
}

// tidyUp stores the totals at the end, so that the next start is quick.
func (q *connQueue) tidyUp() {
	ctx, cancel := context.WithTimeout(context.Background(), attemptTime)
	defer cancel()
	q.fold.mu.Lock()
	owner := q.fold.owner == q.store.bridge && q.fold.replay.Active()
	behind := q.fold.totals.seq > max(q.fold.covered, q.fold.stored)
	q.fold.mu.Unlock()
	if owner { // another bridge may go on at once
		_, _ = q.store.publish(ctx, message(q.names.of(wordLog), entry{kind: kindOwner, number: q.store.bridge}, nil, ""))
	}
	if owner || behind {
		_ = q.storeTotals(ctx)
	}
}

// tidy stores the totals and deletes the messages that they make superfluous.
func (q *connQueue) tidy(ctx context.Context) {
	q.tidied = time.Now()
	if err := q.storeTotals(ctx); err != nil {
		if ctx.Err() == nil {
			q.store.opts.Logger.Warn("the totals could not be stored; trying again", "connector", q.name, "error", err)
		}
		return
	}
	q.fold.mu.Lock()
	covered, stored := q.fold.covered, q.fold.stored
	q.fold.mu.Unlock()
	err := errors.Join(
		q.js.Purge(ctx, natsjs.WithPurgeSubject(q.names.of(wordLog)), natsjs.WithPurgeSequence(covered+1)),
		q.js.Purge(ctx, natsjs.WithPurgeSubject(q.names.of(wordTotals)), natsjs.WithPurgeSequence(stored)))
	if err != nil && ctx.Err() == nil {
		q.store.opts.Logger.Warn("old messages could not be deleted; trying again", "connector", q.name, "error", err)
	}
}

// storeTotals stores the totals as they are now. Where another bridge has just
// done so, that is as good.
func (q *connQueue) storeTotals(ctx context.Context) error {
	for began := time.Now(); ; {
		q.fold.mu.Lock()
		at, place, previous := q.fold.totals.seq, q.fold.stored, q.fold.covered
		if at == previous || at == place { // nothing came since
			q.fold.mu.Unlock()
			return nil
		}
		q.fold.markAge()
		totals := message(q.names.of(wordTotals), entry{kind: kindTotals, writer: q.store.bridge, number: at}, q.fold.totals.encode(), "")
		messages := []*nats.Msg{expect(totals, place)}
		if len(q.fold.side.fresh) > 0 {
			segment := message(q.names.of(wordSegment), entry{kind: kindSegment, writer: q.store.bridge}, q.fold.side.encode(q.fold.side.fresh), "")
			messages = []*nats.Msg{segment, messages[0]}
		}
		q.fold.mu.Unlock()
		a, err := q.store.publishOutcome(ctx, messages...)
		if err == nil {
			q.seen(ctx, a.seq)
			return nil
		}
		if !errors.Is(err, errConflict) || time.Since(began) > q.store.opts.patience {
			return err
		}
		if err := q.sync(ctx); err != nil {
			return err
		}
		q.fold.mu.Lock()
		enough := q.fold.covered >= at
		q.fold.mu.Unlock()
		if enough {
			return nil
		}
	}
}

// markAge notes which records are done by now. mu is held.
func (f *fold) markAge() {
	now := f.now().Unix()
	m := mark{f.front(), uint64(max(now, 0))}
	if n := len(f.ages); n > 0 && f.ages[n-1].seq == m.seq {
		return
	}
	f.ages = append(f.ages, m)
	if len(f.ages) > agesKept { // leave out every second one, but for the newest
		kept := f.ages[:0]
		for i, a := range f.ages {
			if i%2 == 0 || i > agesKept/2 {
				kept = append(kept, a)
			}
		}
		f.ages = kept
	}
}

// front returns a record before which all are done.
func (f *fold) front() uint64 {
	if it := f.pending.front(); it != nil {
		return it.seq
	}
	return f.totals.seq + 1
}

// retain gives up history that is too old or too much.
func (q *connQueue) retain(ctx context.Context) {
	opts := q.store.opts
	q.fold.mu.Lock()
	done := min(q.fold.front(), q.fold.covered+1)
	cut := done
	if opts.RetainAge > 0 {
		cut = 0
		old := uint64(max(opts.Now().Add(-opts.RetainAge).Unix(), 0))
		for _, a := range q.fold.ages {
			if a.value <= old {
				cut = max(cut, min(a.seq, done))
			}
		}
	}
	history := q.bytes.Load() - q.fold.pending.bytes - q.fold.deadBytes
	first, refusals := max(q.cut, 1), q.store.refusals.Load()
	q.fold.mu.Unlock()
	pressed := refusals != q.pressed // once for what was refused since: it may have been enough
	q.pressed = refusals
	if pressed && done > first {
		cut = max(cut, first+(done-first)/pressure+1)
	}
	if opts.RetainBytes > 0 && opts.RetainAge > 0 && history > opts.RetainBytes {
		cut = max(cut, q.surplus(ctx, max(cut, first), done, history-opts.RetainBytes))
	}
	if cut = min(cut, done); cut > q.cut {
		q.giveUp(ctx, cut)
	}
}

// surplus returns up to where records take so many bytes.
func (q *connQueue) surplus(ctx context.Context, from, to uint64, bytes int64) uint64 {
	cut := from
	err := q.scan(ctx, q.names.of(wordRecord), from, to, true, func(m stored) error {
		e, err := m.entry()
		if err != nil {
			return nil
		}
		cut, bytes = m.seq+1, bytes-int64(e.size)
		if bytes <= 0 {
			return errEnough
		}
		return nil
	})
	if err != nil {
		return from
	}
	return cut
}

// giveUp deletes the records before cut, all of which are done.
func (q *connQueue) giveUp(ctx context.Context, cut uint64) {
	first, err := q.next(ctx, q.names.of(wordRecord), 1)
	if err == nil && first.seq > 0 && first.seq < cut {
		err = q.js.Purge(ctx, natsjs.WithPurgeSubject(q.names.of(wordRecord)), natsjs.WithPurgeSequence(cut))
	}
	q.fold.mu.Lock()
	covered := q.fold.covered
	var places []uint64
	for seq, at := range q.fold.side.rewritten {
		if seq < cut && at <= covered && q.fold.pending.find(seq) == nil {
			places = append(places, at)
		}
	}
	notes := len(q.fold.side.missed) + len(q.fold.side.rewritten)
	q.fold.mu.Unlock()
	if err == nil {
		err = inParallel(places, func(at uint64) error { return q.erase(ctx, at) })
	}
	if err == nil && notes > 0 { // other bridges forget them with this message
		_, err = q.log(ctx, entry{kind: kindCut, number: cut, upTo: covered})
	}
	if err != nil {
		if ctx.Err() == nil {
			q.store.opts.Logger.Warn("history could not be given up; trying again", "connector", q.name, "error", err)
		}
		return
	}
	q.cut = cut
}
