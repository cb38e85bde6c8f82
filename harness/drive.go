package harness

import (
	"context"
	"fmt"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/progress"
	"github.com/currentsbridge/currentsbridge/mockbraze"
)

func (r *run) drive(ctx context.Context) Report {
	r.began = time.Now()
	r.shownAt = r.began
	if r.config.Faults.network() {
		if err := r.schedule.begin(); err != nil {
			r.note(err)
		}
	}
	fmt.Fprintf(r.config.Progress, "%s events of every type, seed %d: Braze → bridge (%s mode) → RudderStack, faults: %s\n",
		progress.Grouped(int64(r.config.Events)), r.config.Seed, r.config.Mode, r.config.Faults)

	live := progress.Show(r.config.Progress, r.line)
	live.KeepLast()
	sent := make(chan error, 1)
	go func() { sent <- r.send(r.running) }()
	last := r.follow(sent)
	r.end()
	r.restarts.Wait()
	took := time.Since(r.began)
	live.Stop()
	if ctx.Err() == nil {
		if err := readLetters(ctx, r.process.adminURL(), connector, func(l letter) { r.books.DeadLetter(l.Event, l.Reason) }); err != nil {
			r.note(err)
		}
		if err := r.process.stop(); err != nil {
			r.note(err)
		}
	}
	return r.verdict(last, took)
}

func (r *run) send(ctx context.Context) error {
	current, err := r.braze.Create(mockbraze.Current{
		Name:  "harness",
		URL:   "http://" + r.process.listen + "/currents",
		Token: brazeToken, Events: mockbraze.All, Connections: 8,
		Backoff: mockbraze.Backoff{First: 50 * time.Millisecond, Max: time.Second},
		OnSend:  r.sending,
		OnAck:   func(events []mockbraze.Event, _ mockbraze.Answer) { r.acknowledged(events) },
	})
	if err != nil {
		return err
	}
	if err := current.Launch(ctx); err != nil {
		return err
	}
	return current.SendAt(ctx, r.config.Events, r.config.Rate)
}

// follow watches the run until the bridge has nothing pending any more, or there is
// no progress. It returns the bridge's last ledger, whose sums must hold in the middle of
// the run too.
func (r *run) follow(sent <-chan error) Ledger {
	ctx := r.running
	ask := time.NewTicker(250 * time.Millisecond)
	defer ask.Stop()
	var ledger Ledger
	got, since := int64(0), time.Now() // how far it is, and since when
	all := false                       // everything was sent and acknowledged
	for {
		select {
		case <-ctx.Done():
			return ledger
		case err := <-sent:
			if err != nil && ctx.Err() == nil {
				r.note(fmt.Errorf("the sending side: %w", err))
			}
			all = true
		case <-ask.C:
		}
		if r.process.gone() && !r.down.Load() {
			return ledger // process.stop returns how it ended
		}
		now, err := ReadLedger(ctx, r.process.adminURL(), connector) // none while the bridge is down
		if err == nil {
			ledger = now
			if err := ledger.Check(); err != nil {
				r.stopWith(err)
			}
		}
		if err == nil && all && ledger.Pending == 0 && r.watch.idle() {
			return ledger
		}
		acked, _, delivered := r.books.Progress()
		if acked+delivered != got {
			got, since = acked+delivered, time.Now()
		}
		if time.Since(since) > r.config.Standstill {
			r.note(fmt.Errorf("nothing got on for %s: %d acknowledged, %d delivered, %d pending in the bridge (%s); its log ends with:\n%s",
				r.config.Standstill, acked, delivered, ledger.Pending, ledger.Destination.LastError, r.process.running.Load().Log()))
			return ledger
		}
	}
}

func (r *run) verdict(ledger Ledger, took time.Duration) Report {
	e := evidence{
		tally: r.books.Tally(), ledger: ledger, answered: r.answered.Load(), unanswered: r.attempts.Load() - r.answered.Load(),
		faults: r.schedule.happened(), crashes: int(r.kills.Load()), wantedCrashes: r.config.crashes(),
		inFlight: int64(concurrency * r.config.perPost()), perPost: int64(r.config.perPost()),
		duration: took,
	}
	e.lostAnswers = lostAfterStoring(r.lost.Load(), e.faults)
	if r.config.Faults.network() {
		e.wanted = r.schedule.wanted()
	}
	r.mu.Lock()
	e.troubles = r.troubles
	r.mu.Unlock()
	report := judge(e)
	report.Seed = r.config.Seed
	report.Data = r.config.Dir
	return report
}

// line says how far the run is; the rate is that since the line before.
func (r *run) line(now time.Time) string {
	acked, awaited, delivered := r.books.Progress()
	total := int64(r.config.Events)
	rate := float64(delivered-r.shown) / max(now.Sub(r.shownAt).Seconds(), 1e-3)
	r.shown, r.shownAt = delivered, now
	text := fmt.Sprintf("acked %s of %s · delivered %s · %s/s · left %s",
		progress.Grouped(acked), progress.Grouped(total), progress.Grouped(delivered), progress.Grouped(int64(rate)),
		progress.Grouped(max(0, awaited-delivered)+total-acked))
	if faults := r.schedule.happened(); len(faults) > 0 {
		sum := 0
		for _, n := range faults {
			sum += n
		}
		text += fmt.Sprintf(" · faults %d (%d kinds)", sum, len(faults))
	}
	if kills := r.kills.Load(); kills > 0 {
		text += fmt.Sprintf(" · kills %d", kills)
	}
	return text
}
