package load

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/progress"
)

// Run is one run of load. Make it with New and call Do once.
type Run struct {
	cfg    Config
	gen    *Generator
	target *target
	far    *follower // nil without verification
	rec    *recorder

	end       time.Duration // nothing starts from here on
	warmUntil uint64        // the number of the first batch that is not warm-up
	planned   uint64        // batches
	next      atomic.Uint64 // the number of the next batch
	began     atomic.Pointer[time.Time]
	stopped   atomic.Int64 // when it was interrupted, in ns; else 0
}

// New makes a Run. Its error names every mistake in cfg.
func New(cfg Config) (*Run, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	r := &Run{cfg: cfg, end: cfg.Duration}
	if r.end == 0 {
		r.end = longest
	}
	var err error
	if r.target, err = newTarget(&r.cfg); err != nil {
		return nil, err
	}
	if r.gen, err = NewGenerator(cfg.Glossary, cfg.Seed, cfg.Types); err != nil {
		return nil, err
	}
	if cfg.Verify != "" {
		if r.far, err = newFollower(&r.cfg, r.gen.ids); err != nil {
			return nil, err
		}
	}
	r.rec = newRecorder(cfg.Pace.Rate, cfg.WarmUp)
	r.planned = r.batchesUntil(r.end)
	r.warmUntil = r.batchesUntil(cfg.WarmUp)
	return r, nil
}

// Seed is the run's seed, the random one where none was given.
func (r *Run) Seed() uint64 { return r.cfg.Seed }

// Target is where the run goes, without the query.
func (r *Run) Target() string { return shown(r.target.url) }

// batchesUntil is how many batches are to start before an instant.
func (r *Run) batchesUntil(until time.Duration) uint64 {
	events, size := min(r.cfg.Pace.Events(until), r.cfg.Events), uint64(r.cfg.Batch)
	return events/size + min(1, events%size)
}

// eventsOf is how many events so many batches hold; the last may not be full.
func (r *Run) eventsOf(batches uint64) uint64 {
	return min(batches*uint64(r.cfg.Batch), r.cfg.Events)
}

// Do sends the load and reports. It fails where the target is not allowed or the
// far end cannot be read, before anything is sent; what happens afterwards is in
// the report. When ctx ends, no batch is started any more, those in flight have a
// grace period, and the report covers the run until then.
func (r *Run) Do(ctx context.Context) (*Report, error) {
	if !r.cfg.PublicTarget && r.cfg.Dial == nil {
		if err := r.target.check(ctx); err != nil {
			return nil, err
		}
	}
	if r.far != nil {
		if err := r.far.begin(ctx); err != nil {
			return nil, fmt.Errorf("verify: %w", err)
		}
	}
	cpu := cpuTime()
	start := time.Now()
	r.began.Store(&start)
	stopFollowing := r.follow(ctx, start)
	r.send(ctx, start)
	ended := time.Since(start)
	cpu = cpuTime() - cpu

	report := r.report(start, ended)
	report.Interrupted = ctx.Err() != nil
	report.Process = Process{CPUSeconds: cpu.Seconds()}
	if ended > 0 {
		report.Process.CPUShare = cpu.Seconds() / ended.Seconds() / float64(runtime.GOMAXPROCS(0))
	}
	report.Verify = stopFollowing()
	report.judge(r)
	return report, nil
}

func (r *Run) send(ctx context.Context, start time.Time) {
	// Requests in flight outlive ctx by a grace period of five seconds.
	flight, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	interrupted := func() { r.stopped.CompareAndSwap(0, int64(time.Since(start))) }
	defer context.AfterFunc(ctx, func() {
		interrupted()
		time.AfterFunc(5*time.Second, cut)
	})()
	var workers sync.WaitGroup
	for range r.cfg.Connections {
		workers.Go(func() { r.work(ctx, flight, start) })
	}
	workers.Wait()
	if ctx.Err() != nil {
		interrupted()
	}
	r.target.transport.CloseIdleConnections()
}

// work sends one batch after the other over one connection. It takes the next
// number, makes the body before the batch is due, waits for the instant and
// sends. A batch whose instant has passed when its number is taken starts at once:
// none is left out, and the instants behind it do not move. So the numbers are a
// queue in which a batch waits while all connections are busy.
func (r *Run) work(ctx, flight context.Context, start time.Time) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		b := r.take()
		if b == nil {
			return
		}
		at := start.Add(b.due)
		if r.cfg.closed() {
			at = time.Now()
		}
		var body []byte
		if r.cfg.Body != nil {
			body = r.cfg.Body()
		} else {
			body = r.gen.Append(make([]byte, 0, 1024*b.events), b.number, r.eventsOf(b.number), b.events, at)
		}
		timer.Reset(time.Until(at))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		b.start = time.Since(start)
		if b.start >= r.end || ctx.Err() != nil {
			return // dropped, and so is all behind it
		}
		if r.cfg.closed() {
			b.due, b.warm = b.start, b.start < r.cfg.WarmUp
		}
		r.rec.began(b)
		if r.far != nil {
			r.far.issue(b)
		}
		err := r.target.post(flight, body, b)
		b.done = time.Since(start)
		if err != nil {
			b.failure = failureOf(err)
		}
		r.rec.ended(b)
		if r.far != nil {
			r.far.answered(b)
		}
	}
}

// take returns the next batch, nil for none.
func (r *Run) take() *batch {
	n := r.next.Add(1) - 1
	if n >= r.planned {
		return nil
	}
	due, ok := r.cfg.Pace.Due(r.eventsOf(n))
	if !ok {
		return nil
	}
	return &batch{number: n, typ: r.gen.Type(n), events: int(r.eventsOf(n+1) - r.eventsOf(n)), due: due, warm: n < r.warmUntil}
}

// overdue is how many batches have not begun though they are late already.
func (r *Run) overdue(at time.Duration, begun uint64) uint64 {
	if r.cfg.closed() || at <= lateAfter {
		return 0
	}
	due := r.batchesUntil(min(at-lateAfter, r.end))
	return due - min(due, begun)
}

// follow reads from the far end until the function that it returns is called,
// which waits for missing events. An interruption before that call does not end
// the wait, one during the wait does.
func (r *Run) follow(ctx context.Context, start time.Time) (finish func() *Verification) {
	if r.far == nil {
		return func() *Verification { return nil }
	}
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	waiting, giveUp := context.WithCancel(reading)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.far.run(reading, waiting, start)
	}()
	return func() *Verification {
		defer stop()
		r.far.allSent.Store(true)
		interrupted := ctx.Done()
		if ctx.Err() != nil {
			interrupted = nil
		}
		select {
		case <-done:
		case <-interrupted:
		case <-time.After(r.cfg.VerifyTimeout):
		}
		giveUp()
		defer time.AfterFunc(pageTimeout, stop).Stop()
		<-done
		r.far.client.CloseIdleConnections()
		return r.far.verdict(r.cfg.Pace)
	}
}

// Line is the state of a run in one line, empty before the first batch. Latencies are
// of the last ten seconds, from the intended instant.
func (r *Run) Line() string {
	start := r.began.Load()
	if start == nil {
		return ""
	}
	if r.far != nil && r.far.allSent.Load() {
		if missing := r.far.lost(); missing > 0 {
			return fmt.Sprintf("load: all sent; %d acknowledged events are still to arrive at the far end", missing)
		}
		return "load: all sent, and all that was acknowledged has arrived"
	}
	elapsed := time.Since(*start)
	all, recent, rate := r.rec.state(elapsed)
	length := r.cfg.Duration
	if !r.cfg.closed() {
		length = r.due(r.end)
	}
	line := fmt.Sprintf("load: %s, %.0f/s", progress.Count("events")(int64(all.Sent)), rate)
	if wanted := r.cfg.Pace.Rate(elapsed); wanted > 0 {
		line += fmt.Sprintf(" of %.0f", wanted)
	}
	line += fmt.Sprintf(", p50 %.1f ms, p99 %.1f ms, %s", percentile(recent, 50), percentile(recent, 99),
		progress.Count("errors")(int64(all.Refused+all.Failed)))
	if late := all.late + r.overdue(elapsed, all.started); late > 0 {
		line += fmt.Sprintf(", %d late", late)
	}
	if left := length - elapsed; left > 0 {
		line += fmt.Sprintf(", %s left", left.Round(time.Second))
	}
	return line
}
