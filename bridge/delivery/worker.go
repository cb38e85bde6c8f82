package delivery

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// errStopping ends a worker's batch: Run was told to end, or no outcome can be
// known or stored any more. What is not settled is released.
var errStopping = errors.New("delivery is stopping")

// worker delivers one batch after the other.
type worker struct {
	*Sender
	batch  batch
	packer packer
	todo   []part
	spans  []queue.Span

	// How a worker that sends history again differs.
	replay bool
	record func(context.Context, queue.Settlement) error   // takes in an outcome
	pay    func(ctx context.Context, events int) (ok bool) // waits for the right to send them; nil: they are free
}

func (s *Sender) worker() *worker {
	w := &worker{Sender: s, batch: batch{
		mode: s.config.Mode, mapper: s.config.Mapper,
		maxEvents: s.config.MaxEvents, maxBody: s.config.MaxBody,
	}}
	w.record = w.settle
	return w
}

// limit is what one fetch is to bring. Messages are larger than events; what
// does not fit becomes a small POST of its own, so a little less is fetched
// than fits.
func (w *worker) limit() queue.Limit {
	return queue.Limit{Events: w.batch.maxEvents, Bytes: w.batch.maxBody - w.batch.maxBody/8}
}

// run delivers until ctx ends. A POST under way and the storing of its outcome
// may go on until hard ends.
func (w *worker) run(ctx, hard context.Context) error {
	for failed := 0; ; {
		records, err := w.config.Queue.Fetch(ctx, w.limit())
		if err != nil {
			failed++
			if on, err := w.fetchFailed(ctx, err, failed); !on {
				return err
			}
			continue
		}
		failed = 0
		w.batch.load(records)
		err = w.deliver(ctx, hard)
		w.drop()
		w.config.Queue.Release(records...)
		if err != nil {
			return stopped(err)
		}
	}
}

// fetchFailed waits after a failed fetch, or says with false that there will be
// no other, and with an error that this is not because ctx has ended.
func (w *worker) fetchFailed(ctx context.Context, err error, failed int) (bool, error) {
	switch {
	case ctx.Err() != nil:
		return false, nil
	case hopeless(err):
		return false, fmt.Errorf("delivery: fetch: %w", err)
	}
	w.log.Error("cannot read the queue", "error", err, "failed", failed, "replay", w.replay)
	return sleep(ctx, w.pacing.backoff(failed)), nil
}

// stopped is what a worker returns that ends with err.
func stopped(err error) error {
	if errors.Is(err, errStopping) {
		return nil
	}
	return err
}

func (w *worker) drop() {
	w.batch.drop()
	w.packer.drop(2 * w.config.MaxBody)
}

// deliver brings the batch to its end.
func (w *worker) deliver(ctx, hard context.Context) error {
	if filtered, dead := w.batch.sift(); len(filtered)+len(dead) > 0 {
		if err := w.record(hard, queue.Settlement{Filtered: filtered, Dead: dead}); err != nil {
			return err
		}
	}
	return w.sendAll(ctx, hard)
}

// sendAll sends everything in the batch, in as many POSTs as it takes, one
// after the other: what one worker has in flight is never more than one POST.
func (w *worker) sendAll(ctx, hard context.Context) error {
	rest := span{0, len(w.batch.events)}
	for rest.len() > 0 {
		filled := w.batch.pack(rest)
		if err := w.send(ctx, hard, filled); err != nil {
			return err
		}
		rest.first = filled.end
	}
	return nil
}

// rank is the place of a part in the destination's order of age. History comes
// after all that is pending.
func (w *worker) rank(p *part) uint64 {
	if w.replay {
		return math.MaxUint64
	}
	return w.batch.events[p.first].seq
}

// settle stores an outcome and insists on it: sending again what RudderStack
// has would make duplicates, so it is only the storing that is tried again.
func (w *worker) settle(hard context.Context, s queue.Settlement) error {
	return w.store(hard, func() error { return w.config.Queue.Settle(hard, s) })
}

func (w *worker) store(hard context.Context, outcome func() error) error {
	for failed := 1; ; failed++ {
		err := outcome()
		switch {
		case err == nil:
			crashpoint.At("delivery.settled")
			return nil
		case hopeless(err):
			return fmt.Errorf("delivery: settle: %w", err)
		case hard.Err() != nil:
			w.log.Error("outcome not stored, its events will be sent again", "error", err)
			return errStopping
		}
		w.log.Error("cannot store an outcome, will try again", "error", err, "failed", failed)
		if !sleep(hard, w.pacing.backoff(failed)) {
			return errStopping
		}
	}
}

// hopeless says that the queue will not recover while it is open, so that
// sending more would only make duplicates.
func hopeless(err error) bool {
	return errors.Is(err, queue.ErrClosed) || errors.Is(err, queue.ErrFailed) || errors.Is(err, queue.ErrNotHeld)
}

// sleep waits and says whether it did so to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
