// Package delivery brings one connector's events from its queue to RudderStack.
//
// Read evidence.go first: it is the rule by which the bridge decides whose fault a
// failure is, and what becomes of the events. schedule.go chooses what is sent
// next. Both are plain arithmetic. Around them, in sender.go and deliver.go, one
// goroutine claims records, Concurrency workers send requests, and one more
// replays history (replay.go).
//
// A worker stores the outcome of a request before it begins the next one; so events
// in flight, and with them the duplicates that a crash can make, are at most
// Concurrency × BatchEvents, and while a replay of history runs BatchEvents more (or
// one batch of Braze, where that has more events).
package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// errStopping ends a worker: Run is to end, or an outcome cannot be known
// or stored any more. What is not settled is released.
var errStopping = errors.New("delivery is stopping")

// Sender delivers for one connector. Make it with New.
type Sender struct {
	config Config
	poster *poster
	log    *slog.Logger

	compression compression

	mu      sync.Mutex
	changed sync.Cond // of what follows
	// What the destination has shown, and what is sent to it of pending events.
	evidence *evidence
	main     *scheduler
	held     map[uint64]holding // claimed records by number
}

// holding is a claimed record.
type holding struct {
	record *queue.Record
	left   int // events that are not settled
}

// New returns a Sender, or an error where the URL is wrong. It sends nothing before
// Run.
func New(c Config) (*Sender, error) {
	c = c.withDefaults()
	poster, err := c.poster()
	if err != nil {
		return nil, err
	}
	s := &Sender{
		config: c, poster: poster, evidence: newEvidence(c.Connector, c.Random, time.Now()), held: map[uint64]holding{},
		log: c.Logger.With("connector", c.Name),
	}
	s.changed.L = &s.mu
	s.main = newScheduler(s.evidence, c.Concurrency, c.GiveUpAfter)
	return s, nil
}

// Run delivers until ctx ends. Then it claims and sends nothing more, gives
// requests in flight the configured grace to finish, stores their outcomes,
// releases the rest and returns nil.
//
// It returns an error only where no outcome can be stored any more
// (queue.ErrClosed, queue.ErrFailed, queue.ErrNotHeld). A Sender runs once.
func (s *Sender) Run(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx) // what fails for one fails for the others, after sending once more
	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(s.config.Grace, cut) })()
	defer context.AfterFunc(ctx, s.wakeAll)()
	defer s.config.Metrics.compressing.Set(0) // the next Sender may not compress

	run := func(task func() error) {
		all.Go(func() error {
			if err := task(); !errors.Is(err, errStopping) { // else it would hide an error of another
				return err
			}
			return nil
		})
	}
	for range s.config.Concurrency {
		run(func() error { return s.work(ctx, hard) })
	}
	run(func() error { return s.claim(ctx) })
	run(func() error { return s.replays(ctx, hard) })
	if s.config.Gzip != "off" {
		run(func() error { return s.askHourly(ctx) })
	}
	err := all.Wait()
	s.releaseAll()
	s.poster.connections.close()
	return err
}

// claim claims fresh events until ctx ends.
func (s *Sender) claim(ctx context.Context) error {
	b := s.builder()
	limit := s.config.claim()
	for s.wantsMore(ctx) {
		var records []*queue.Record
		err := s.read(ctx, func() (err error) {
			records, err = s.config.Queue.Claim(ctx, limit)
			return err
		})
		if err != nil {
			return err
		}
		events, bytes := b.eventsOf(records), 0
		for _, e := range events {
			bytes += len(e.raw)
		}
		s.mu.Lock()
		for _, r := range records {
			s.held[r.Seq] = holding{r, len(r.Events)}
		}
		s.main.add(events, len(events) >= limit.Events/2 || bytes >= limit.Bytes/2)
		s.changed.Broadcast()
		s.mu.Unlock()
	}
	return nil
}

// replays sends what replays ask for until ctx ends.
func (s *Sender) replays(ctx, hard context.Context) error {
	r := &replay{sender: s, builder: s.builder()}
	limit := s.config.claim()
	for {
		var current queue.Replay
		var records []*queue.Record
		err := s.read(ctx, func() (err error) {
			current, records, err = s.config.Queue.FetchReplay(ctx, limit)
			return err
		})
		if err != nil {
			return err
		}
		r.begin(current)
		if len(records) == 0 {
			err = r.end(hard)
		} else {
			err = r.group(ctx, hard, records)
		}
		if err != nil {
			return err
		}
		r.builder.drop()
	}
}

// wantsMore waits until fresh events are needed; false: ctx has ended.
func (s *Sender) wantsMore(ctx context.Context) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ctx.Err() == nil {
		if len(s.main.fresh) == 0 && s.main.events < maxHeld {
			s.main.claimedAt = time.Now()
			s.changed.Broadcast() // for those that wait until the queue is quiet
			return true
		}
		s.changed.Wait()
	}
	return false
}

// read reads the queue. At a stop it does not matter whether the queue is closed first.
func (s *Sender) read(ctx context.Context, from func() error) error {
	err := s.retry(ctx, "read the queue", from)
	if err != nil && ctx.Err() != nil {
		return errStopping
	}
	return err
}

// retry uses the queue until that works, with backoff between failures. It logs an
// error once until it changes. It returns errStopping where ctx has ended, and an
// error of the queue from which it does not recover while it is open, so that
// sending more would only make duplicates.
func (s *Sender) retry(ctx context.Context, what string, use func() error) error {
	last := ""
	for n := 1; ; n++ {
		err := use()
		switch {
		case err == nil:
			if n > 1 {
				s.log.Info("the queue works again: the bridge can " + what)
			}
			return nil
		case isFatal(err):
			return fmt.Errorf("delivery: %s: %w", what, err)
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", errStopping, err)
		case err.Error() != last:
			last = err.Error()
			s.log.Error("cannot "+what+"; that is tried again until it works", "error", err)
		}
		s.mu.Lock()
		wait := s.evidence.backoff(n, s.evidence.maxBackoff)
		s.mu.Unlock()
		if !sleep(ctx, wait) {
			return errStopping
		}
	}
}

func isFatal(err error) bool {
	return errors.Is(err, queue.ErrClosed) || errors.Is(err, queue.ErrFailed) || errors.Is(err, queue.ErrNotHeld)
}

// next waits for a request to send from a scheduler; nil: ctx has ended. While the
// breaker is open, history waits for all that is pending.
func (s *Sender) next(ctx context.Context, from *scheduler) *request {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ctx.Err() == nil {
		var wake time.Time // zero: when something has changed
		if from == s.main || !s.evidence.open || s.main.idle() {
			var r *request
			if r, wake = from.take(time.Now()); r != nil {
				if len(from.fresh) == 0 {
					s.changed.Broadcast() // for claim
				}
				return r
			}
		}
		if wake.IsZero() {
			s.changed.Wait()
			continue
		}
		timer := time.AfterFunc(time.Until(wake), s.wakeAll)
		s.changed.Wait()
		timer.Stop()
	}
	return nil
}

func (s *Sender) wakeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.Broadcast()
}

// releaseAll gives back all that is not settled. No worker may run any more.
func (s *Sender) releaseAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.held {
		s.config.Queue.Release(h.record)
	}
	s.held = nil
	s.main = newScheduler(s.evidence, s.config.Concurrency, s.config.GiveUpAfter)
}

// settle stores an outcome. Records of which nothing is left are released.
func (s *Sender) settle(hard context.Context, o queue.Settlement) error {
	if err := s.store(hard, func() error { return s.config.Queue.Settle(hard, o) }); err != nil {
		return err
	}
	spans := slices.Concat(o.Delivered, o.Filtered)
	for _, d := range o.Dead {
		spans = append(spans, queue.Span{Seq: d.Seq, First: d.Index, Last: d.Index})
	}
	var done []*queue.Record
	s.mu.Lock()
	for _, span := range spans {
		h, held := s.held[span.Seq]
		h.left -= span.Last - span.First + 1
		switch {
		case held && h.left > 0:
			s.held[span.Seq] = h
		case held:
			delete(s.held, span.Seq)
			done = append(done, h.record)
		}
	}
	s.mu.Unlock()
	if len(done) > 0 {
		s.config.Queue.Release(done...)
	}
	return nil
}

// store stores what became of events. Sending again what RudderStack has would make
// duplicates, so it is only the storing that is tried again.
func (s *Sender) store(hard context.Context, outcome func() error) error {
	err := s.retry(hard, "store an outcome", outcome)
	switch {
	case err == nil:
		crashpoint.At("delivery.settled")
	case errors.Is(err, errStopping):
		s.log.Error("outcome not stored, its events will be sent again", "error", err)
	}
	return err
}

// sleep waits and says whether it did so to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
