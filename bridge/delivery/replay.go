package delivery

import (
	"context"
	"path"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// replayer sends history again: the same events with the same ids, through the
// same gate and the same table of answers as what is pending, one POST at a
// time. What came of a group of records is stored once all of it was sent, so a
// crash repeats at most one group: a POST's worth, or one record where that has
// more events.
type replayer struct {
	*worker
	current  queue.Replay
	progress queue.ReplayProgress // of the group under way
	done     int                  // its events that have an outcome, in their order
	paid     time.Time            // until when the events sent so far are paid for
	kind     []byte               // scratch: an event's type without escapes
}

func (s *Sender) replayer() *replayer {
	r := &replayer{worker: s.worker()}
	r.replay, r.record, r.pay = true, r.count, r.wait
	r.batch.wants = r.wants
	return r
}

// run sends what replays ask for until ctx ends.
func (r *replayer) run(ctx, hard context.Context) error {
	for failed := 0; ; {
		replay, records, err := r.config.Replays.FetchReplay(ctx, r.limit())
		if err != nil {
			failed++
			if on, err := r.fetchFailed(ctx, err, failed); !on {
				return err
			}
			continue
		}
		failed = 0
		r.begin(replay)
		if len(records) == 0 {
			err = r.end(hard)
		} else {
			err = r.group(ctx, hard, records)
		}
		if err != nil {
			return stopped(err)
		}
	}
}

// begin takes up a replay, unless it is the one that was under way.
func (r *replayer) begin(replay queue.Replay) {
	again := replay.Number == r.current.Number
	r.current = replay
	if again {
		return
	}
	// A POST has no more events than may be sent in a second, so that a small
	// rate is a stream of small POSTs.
	r.batch.maxEvents = r.config.MaxEvents
	if rate := replay.Order.Rate; rate > 0 {
		r.batch.maxEvents = max(1, int(min(rate, float64(r.config.MaxEvents))))
	}
	r.paid = time.Now()
	r.log.Info("replay of history begins", "replay", replay.Number,
		"from", replay.Order.From, "till", replay.Order.Till, "types", replay.Order.Types, "rate", replay.Order.Rate,
		"next", replay.Next, "replayed", replay.Replayed)
}

// end closes the replay that has no records left.
func (r *replayer) end(hard context.Context) error {
	now := r.current
	if err := r.settleReplay(hard, queue.ReplayProgress{Number: now.Number, Next: now.Next, End: true}); err != nil {
		return err
	}
	r.log.Info("replay of history has ended", "replay", now.Number,
		"replayed", now.Replayed, "refused", now.Refused, "skipped", now.Skipped)
	return nil
}

// group sends one fetch's worth and stores how far it came, even when it has to
// stop half-way: then the record that it stopped in is sent again as a whole,
// and what was sent of it by now counts both times, because it is sent twice.
func (r *replayer) group(ctx, hard context.Context, records []*queue.Record) error {
	records = r.fit(records)
	r.batch.load(records)
	r.progress = queue.ReplayProgress{Number: r.current.Number, Next: records[len(records)-1].Seq + 1}
	r.done = 0
	filtered, unfit := r.batch.sift()
	sent := r.sendAll(ctx, hard)
	if sent != nil {
		r.progress.Next = r.batch.events[r.done].seq
	}
	for _, s := range filtered {
		if s.Seq < r.progress.Next {
			r.progress.Skipped += uint64(s.Last - s.First + 1)
		}
	}
	for _, d := range unfit {
		if d.Seq < r.progress.Next {
			r.progress.Refused++
		}
	}
	r.drop()
	if p := r.progress; sent != nil && p.Replayed+p.Refused+p.Skipped == 0 {
		return sent // nothing to store, and perhaps no time to
	}
	if err := r.settleReplay(hard, r.progress); err != nil {
		return err
	}
	return sent
}

// fit keeps of records what makes one POST, one record at least. They were
// fetched before the replay's own limit was known, or are read once more.
func (r *replayer) fit(records []*queue.Record) []*queue.Record {
	events := 0
	for i, record := range records {
		if events += len(record.Events); events > r.batch.maxEvents && i > 0 {
			return records[:i]
		}
	}
	return records
}

// count is what becomes of an outcome: the events have one already, in the
// queue, and keep it.
func (r *replayer) count(_ context.Context, s queue.Settlement) error {
	for _, span := range s.Delivered {
		n := span.Last - span.First + 1
		r.progress.Replayed += uint64(n)
		r.done += n
	}
	for _, d := range s.Dead {
		r.progress.Refused++
		r.done++
		r.log.Warn("an event of a replay is refused", "replay", r.current.Number, "record", d.Seq, "index", d.Index,
			"reason", d.Reason, "status", d.Status)
	}
	return nil
}

func (r *replayer) settleReplay(hard context.Context, p queue.ReplayProgress) error {
	return r.store(hard, func() error { return r.config.Replays.SettleReplay(hard, p) })
}

// wait pays for events before they are sent. What a POST's answer takes is not
// lost: up to one POST's worth may have been saved by then.
func (r *replayer) wait(ctx context.Context, events int) bool {
	rate := r.current.Order.Rate
	if rate <= 0 {
		return true
	}
	cost := func(n int) time.Duration {
		return time.Duration(min(float64(n)/rate*float64(time.Second), float64(maxEvery)))
	}
	now := time.Now()
	r.paid = later(r.paid, now.Add(-cost(r.batch.maxEvents))).Add(cost(events))
	return sleep(ctx, r.paid.Sub(now))
}

// wants tells whether the order asks for the event's type.
func (r *replayer) wants(event []byte) bool {
	patterns := r.current.Order.Types
	if len(patterns) == 0 {
		return true
	}
	r.kind = r.kind[:0]
	for f := currents.Fields(event); f.Next(); {
		if f.KeyIs("event_type") { // of duplicates the last one counts
			r.kind, _ = currents.AppendText(r.kind[:0], f.Value())
		}
	}
	for _, pattern := range patterns {
		if ok, err := path.Match(pattern, string(r.kind)); err == nil && ok {
			return true
		}
	}
	return false
}
