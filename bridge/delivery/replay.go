package delivery

import (
	"context"
	"path"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// replay sends history again: the same events with the same ids, one request at a
// time, by the same rule as what is pending. A replay's events have their outcome
// in the queue already and keep it: an event that would die is counted as refused,
// by number alone, and nothing is parked beyond the current group of records. What
// came of a group is stored once all of it was sent, so a stop or a crash repeats at most
// one group: a request's worth, or one record where that has more events.
type replay struct {
	sender  *Sender
	builder *builder
	current queue.Replay
	most    int           // events of a request
	limit   *rate.Limiter // of events a second
	next    time.Time     // no request before
}

// begin starts a replay, unless it is the one that goes on.
func (r *replay) begin(current queue.Replay) {
	before := r.current.Number
	if r.current = current; before == current.Number {
		return
	}
	r.next, r.most, r.limit = time.Now(), r.sender.config.BatchEvents, rate.NewLimiter(rate.Inf, 0)
	perSecond := current.Order.Rate
	if perSecond > 0 {
		// A request has no more events than may be sent in a second, so that a small
		// rate is a stream of small requests. The bucket holds those of one request, so
		// that slow responses do not lower the rate.
		r.most = max(1, int(min(perSecond, float64(r.most))))
		r.limit = rate.NewLimiter(rate.Limit(perSecond), r.most)
		r.limit.AllowN(r.next, r.most)
	}
	r.sender.log.Info("replay of history begins", "replay", current.Number,
		"from", current.Order.From, "till", current.Order.Till, "types", current.Order.Types, "rate", perSecond,
		"next", current.Next, "replayed", current.Replayed)
}

// end closes the replay that has no records left.
func (r *replay) end(hard context.Context) error {
	now := r.current
	err := r.settleReplay(hard, queue.ReplayProgress{Number: now.Number, Next: now.Next, End: true})
	if err == nil {
		r.sender.log.Info("replay of history has ended", "replay", now.Number,
			"replayed", now.Replayed, "refused", now.Refused, "skipped", now.Skipped)
	}
	return err
}

// group sends what one read brought and stores what came of it. Where it has to stop
// half-way, nothing is stored, and the replay goes on later with the whole group.
func (r *replay) group(ctx, hard context.Context, records []*queue.Record) error {
	records = r.fit(records)
	events, filtered, unfit := r.builder.check(r.builder.eventsOf(records), r.wants)
	progress := queue.ReplayProgress{Number: r.current.Number, Next: records[len(records)-1].Seq + 1, Refused: uint64(len(unfit))}
	for _, s := range filtered {
		progress.Skipped += uint64(s.Last - s.First + 1)
	}
	if err := r.sendAll(ctx, hard, events, &progress); err != nil {
		return err
	}
	return r.settleReplay(hard, progress)
}

// sendAll sends the events and counts what became of them.
func (r *replay) sendAll(ctx, hard context.Context, events []event, progress *queue.ReplayProgress) error {
	todo := newScheduler(r.sender.evidence, 1, 0)
	todo.keepsBytes = true
	r.sender.mu.Lock()
	for part := range slices.Chunk(events, r.most) {
		todo.add(part, false)
	}
	todo.claimedAt = time.Now().Add(-quietAfter) // nothing comes after them
	r.sender.mu.Unlock()
	for todo.events > 0 {
		if !sleep(ctx, time.Until(r.next)) {
			return errStopping
		}
		q := r.sender.next(ctx, todo)
		if q == nil {
			return errStopping
		}
		t, err := r.sender.send(hard, r.builder, todo, q)
		if err != nil {
			return err
		}
		r.next = time.Now()
		r.next = r.next.Add(r.limit.ReserveN(r.next, len(t.events)).DelayFrom(r.next))
		switch t.action {
		case deliver:
			progress.Replayed += uint64(len(t.events))
		case die:
			progress.Refused++
			r.sender.log.Warn("an event of a replay is refused", "replay", r.current.Number, "record", t.events[0].seq,
				"index", t.events[0].index, "reason", consequences[t.trial.response.kind].reason, "status", t.response.status)
		}
	}
	return nil
}

// fit keeps of records what makes one request, one record at least. They were
// read before the replay's own limit was known, or are read once more.
func (r *replay) fit(records []*queue.Record) []*queue.Record {
	events := 0
	for i, record := range records {
		if events += len(record.Events); events > r.most && i > 0 {
			return records[:i]
		}
	}
	return records
}

func (r *replay) settleReplay(hard context.Context, p queue.ReplayProgress) error {
	return r.sender.store(hard, func() error { return r.sender.config.Queue.SettleReplay(hard, p) })
}

// wants reports whether the order asks for the event's type.
func (r *replay) wants(event []byte) bool {
	patterns := r.current.Order.Types
	if len(patterns) == 0 {
		return true
	}
	kind, _ := describeEvent(event)
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, kind)
		return ok && err == nil
	})
}
