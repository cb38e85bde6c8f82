// Package migrate moves what waits in one store to another, without losing any
// of it: the pending events and the dead letters of every connector.
//
// Each step stores events in the destination first and takes them out of the
// source once that has returned, so that an end at any moment, a SIGKILL
// included, leaves every event in at least one of the two. Run again, it goes on
// from there. What the last step of an interrupted run had stored already is
// stored once more unless the destination knows it: by its event id, for as long
// as that is in the destination's window, or by what the store itself does
// against repeats. Of events without a usable id, at most those of one step can
// come twice: see Step.
//
// In the source, events that were moved count as filtered and letters as
// purged: the ledger's sums hold, a bridge that is started on the old store by
// mistake sends nothing again, and the moved events are no part of a replay of
// its history. History, the totals, the ids of what was delivered, and an order
// to replay stay in the source.
package migrate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// Step is how many events or letters are moved before they are taken out of the
// source, about: a record is never torn apart.
const Step = 2000

// Options say how a migration is done. The zero Options are good.
type Options struct {
	// Window is how many event ids the queues of a connector remember; nil:
	// queue.DefaultWindow for each.
	Window func(connector string) int
	// Moved is called with the number of events and letters that have arrived, from
	// one goroutine at a time; nil: nothing is called.
	Moved func(n int)
	// Patience is how long a store that fails is asked again before Run gives up;
	// 0: a minute; less than 0: not at all.
	Patience time.Duration

	stall time.Duration // how long pending events may take to be read; tests make it short
}

func (o Options) withDefaults() Options {
	if o.Window == nil {
		o.Window = func(string) int { return queue.DefaultWindow }
	}
	if o.Moved == nil {
		o.Moved = func(int) {}
	}
	if o.Patience == 0 {
		o.Patience = time.Minute
	}
	if o.stall == 0 {
		o.stall = 15 * time.Second
	}
	return o
}

// Report says what became of everything. Counts are events.
type Report struct {
	Connectors []Connector `json:"connectors"` // those that had something to move
}

// Connector is the report of one connector.
type Connector struct {
	Name    string `json:"name"`
	Pending int    `json:"pending"` // pending events that were moved
	Dead    int    `json:"dead"`    // letters that were moved
	// Repeats are those of both that the destination knew already, such as from
	// a run that was interrupted.
	Repeats int `json:"repeats"`
	// WithoutID are those of both that have no usable id, so that a repeat of
	// them is not known by it.
	WithoutID int `json:"without_id"`
	// TooLarge stay in the source, because the destination cannot keep an event
	// of that size; Unreadable stay because the source cannot read them.
	TooLarge   int `json:"too_large"`
	Unreadable int `json:"unreadable"`
	// Replaying is true where a replay of history is under way in the source. It
	// stays there.
	Replaying bool `json:"replaying"`

	Source      queue.Ledger `json:"-"` // afterwards
	Destination queue.Ledger `json:"-"` // afterwards
}

// Left is how many events and letters stay in the source.
func (c Connector) Left() int { return c.TooLarge + c.Unreadable }

// Left is how many events and letters stay in the source, of all connectors.
func (r Report) Left() int {
	left := 0
	for _, c := range r.Connectors {
		left += c.Left()
	}
	return left
}

// Waiting counts the pending events and dead letters of all connectors of a store.
func Waiting(ctx context.Context, store queue.Store, opts Options) (int, error) {
	opts = opts.withDefaults()
	names, err := store.Connectors(ctx)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, name := range names {
		q, err := store.Open(ctx, name, opts.Window(name))
		if err != nil {
			return 0, fmt.Errorf("connector %s: %w", name, err)
		}
		total += waiting(q.Ledger())
	}
	return total, nil
}

func waiting(l queue.Ledger) int { return int(l.Pending() + l.Dead) }

// Run moves everything that waits in from to to, the oldest first, though those
// of one step may end up in another order. Nobody may deliver from from
// meanwhile; whoever takes and delivers in to does no harm. What cannot be moved
// is left where it is and counted in the report, and the rest goes on. On an
// error, ctx's end among them, the report says what was moved so far, and
// running it again goes on.
func Run(ctx context.Context, from, to queue.Store, opts Options) (Report, error) {
	opts = opts.withDefaults()
	var report Report
	names, err := from.Connectors(ctx)
	if err != nil {
		return report, fmt.Errorf("the source: %w", err)
	}
	for _, name := range names {
		c, err := moveConnector(ctx, from, to, name, opts)
		if c.Name != "" {
			report.Connectors = append(report.Connectors, c)
		}
		if err != nil {
			return report, fmt.Errorf("connector %s: %w", name, err)
		}
	}
	return report, nil
}

// moveConnector moves what one connector has. Where that is nothing, the
// destination does not get a queue of that name, and the report is empty.
func moveConnector(ctx context.Context, from, to queue.Store, name string, opts Options) (Connector, error) {
	window := opts.Window(name)
	source, err := from.Open(ctx, name, window)
	if err != nil {
		return Connector{}, fmt.Errorf("open it in the source: %w", err)
	}
	replay, err := source.Replay(ctx)
	if err != nil {
		return Connector{}, fmt.Errorf("ask the source for a replay: %w", err)
	}
	if waiting(source.Ledger()) == 0 && !replay.Active() {
		return Connector{}, nil
	}
	target, err := to.Open(ctx, name, window)
	if err != nil {
		return Connector{}, fmt.Errorf("open it in the destination: %w", err)
	}
	m := &mover{opts: opts, source: source, target: target, report: Connector{Name: name, Replaying: replay.Active()}}
	if err = m.events(ctx); err == nil {
		err = m.letters(ctx)
	}
	m.report.Source, m.report.Destination = source.Ledger(), target.Ledger()
	return m.report, err
}

// insist calls do until it succeeds, fails for good, or has failed for too long.
func (m *mover) insist(ctx context.Context, do func(context.Context) error) error {
	const first, most = 100 * time.Millisecond, 5 * time.Second
	begun := time.Now()
	for wait := first; ; wait = min(2*wait, most) {
		err := do(ctx)
		if err == nil || final(err) || ctx.Err() != nil || time.Since(begun)+wait > m.opts.Patience {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}

// final tells whether asking again cannot help.
func final(err error) bool {
	for _, no := range []error{queue.ErrTooLarge, queue.ErrClosed, queue.ErrFailed, queue.ErrDamaged, queue.ErrNotHeld} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}
