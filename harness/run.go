package harness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/currentsbridge/currentsbridge/harness/oracle"
	"github.com/currentsbridge/currentsbridge/internal/cli"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// run is one run under way.
type run struct {
	config   Config
	books    *oracle.Books
	archive  *archive
	rudder   *mockrudder.Server
	braze    *mockbraze.Server
	watches  []*watch
	drains   []func(context.Context) error // beside watches
	process  *process
	schedule *schedule
	crasher  *crasher

	began    time.Time
	attempts atomic.Int64 // events in requests of Braze, answered or not
	answered atomic.Int64 // of them in requests that got 2XX
	lost     atomic.Int64 // answers of RudderStack that never arrived

	mu       sync.Mutex
	troubles []string
	fatal    context.CancelFunc // ends the run early

	closers []func() // in the order in which they were opened
}

// Run makes one run and judges it. An error means that there is no verdict: the
// configuration is wrong, the bridge's program is missing or does not start, or
// ctx ended. A run that fails is a Report.
func Run(ctx context.Context, c Config) (Report, error) {
	c, err := c.withDefaults()
	if err != nil {
		return Report{}, err
	}
	r := &run{config: c}
	defer r.close()
	if err := r.open(ctx); err != nil {
		return Report{}, err
	}
	report := r.drive(ctx)
	if err := ctx.Err(); err != nil {
		return Report{}, fmt.Errorf("the run was interrupted: %w", err)
	}
	return report, nil
}

func (r *run) onClose(f func()) { r.closers = append(r.closers, f) }

func (r *run) close() {
	for _, v := range slices.Backward(r.closers) {
		v()
	}
}

// open starts everything.
func (r *run) open(ctx context.Context) error {
	program, err := findBridge(r.config.Bridge)
	if err != nil {
		return err
	}
	dir, err := r.directory()
	if err != nil {
		return err
	}
	if r.archive, err = newArchive(filepath.Join(dir, "sent")); err != nil {
		return err
	}
	r.onClose(func() { _ = r.archive.Close() }) // it is thrown away next
	r.books = oracle.NewBooks(r.config.rules(), r.archive)
	target, err := r.openRudder()
	if err != nil {
		return err
	}
	if err := r.openBridge(ctx, program, dir, target); err != nil {
		return err
	}
	if r.braze, err = mockbraze.New(mockbraze.WithSeed(r.config.Seed)); err != nil {
		return err
	}
	r.onClose(r.braze.Close)
	return nil
}

func (r *run) directory() (string, error) {
	if r.config.Dir != "" {
		return r.config.Dir, os.MkdirAll(r.config.Dir, 0o700)
	}
	dir, err := os.MkdirTemp("", "currentsbridge-harness-")
	if err != nil {
		return "", fmt.Errorf("make a directory for the run: %w", err)
	}
	r.onClose(func() { _ = os.RemoveAll(dir) }) // what stays behind is the system's to clean
	return dir, nil
}

// openRudder starts the fake RudderStack, with what spoils the run before it,
// and returns the URL that the bridge is to send to.
func (r *run) openRudder() (string, error) {
	var err error
	r.rudder, err = mockrudder.New(mockrudder.WithKeep(1000), mockrudder.WithObserver(r.arrived))
	if err != nil {
		return "", err
	}
	r.schedule = newSchedule(r.rudder, r.config.Mode, int64(r.config.Events))
	target, err := r.serve(&watch{next: r.config.Rudder(r.rudder), lost: r.answerLost})
	if err != nil {
		return "", err
	}
	r.onClose(r.rudder.Close)
	if r.config.Break == BreakNothing {
		return target, nil
	}
	return r.serve(&watch{next: newSpoiler(r.config.Break, target), lost: func() {}})
}

// serve answers on a free port until the run is closed.
func (r *run) serve(w *watch) (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen for RudderStack: %w", err)
	}
	address := ln.Addr().String()
	r.drains = append(r.drains, func(ctx context.Context) error { return w.drain(ctx, address) })
	r.watches = append(r.watches, w)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	server := &http.Server{Handler: w, ConnState: w.conns.note, ReadHeaderTimeout: time.Minute}
	go func() { served <- cli.Serve(ctx, server, ln, time.Second) }()
	r.onClose(func() {
		cancel()
		<-served //nolint:errcheck // it ends because it was told to
	})
	return "http://" + address, nil
}

// drained waits until nothing that the bridge sent before it was killed is
// under way any more, from the bridge's side on.
func (r *run) drained(ctx context.Context) error {
	for _, drain := range slices.Backward(r.drains) {
		if err := drain(ctx); err != nil {
			return fmt.Errorf("wait until RudderStack has nothing under way: %w", err)
		}
	}
	return nil
}

// idle says whether no request to RudderStack is under way.
func (r *run) idle() bool {
	for _, w := range r.watches {
		if !w.idle() {
			return false
		}
	}
	return true
}

func (r *run) openBridge(ctx context.Context, program, dir, target string) error {
	var err error
	r.process, err = newProcess(program, dir, func(listen, admin string) string {
		return r.config.bridgeFile(listen, admin, filepath.Join(dir, "data"), target)
	})
	if err != nil {
		return err
	}
	r.crasher = &crasher{
		process: r.process, books: r.books, drain: r.drained, trouble: r.stopWith,
		// A little less than what is sent: some types cannot be delivered.
		total: int64(r.config.Events) * 9 / 10, crashes: r.config.crashes(),
	}
	r.onClose(func() { _ = r.process.stop() }) // after a run it has stopped already
	return r.process.start(ctx)
}

// note keeps what went wrong with the run itself.
func (r *run) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.troubles = append(r.troubles, err.Error())
}

// stopWith notes an error after which the run cannot go on.
func (r *run) stopWith(err error) {
	if errors.Is(err, context.Canceled) {
		return // the run is ending already
	}
	r.note(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fatal != nil {
		r.fatal()
	}
}

// sending, acknowledged, arrived and answerLost are where the run's events pass
// by. They are called from many goroutines at once.

func (r *run) sending(events []mockbraze.Event) {
	r.attempts.Add(int64(len(events)))
	for _, e := range events {
		if err := r.books.Issue(e.Raw); err != nil {
			r.stopWith(err)
		}
	}
}

func (r *run) acknowledged(events []mockbraze.Event) {
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	r.books.Ack(ids...)
	r.answered.Add(int64(len(events)))
	r.advance()
}

func (r *run) arrived(e mockrudder.Event) {
	r.books.Deliver(delivered(e))
	r.advance()
}

// delivered is what the books need to know of a message that came in.
func delivered(e mockrudder.Event) oracle.Delivery {
	d := oracle.Delivery{Raw: []byte(e.Raw), Valid: e.Valid}
	if len(e.Errors) > 0 {
		d.Fault = e.Errors[0].Path + ": " + e.Errors[0].Detail
	}
	return d
}

// advance lets the faults and the kills follow the run.
func (r *run) advance() {
	acked, _, delivered := r.books.Progress()
	if r.config.Faults.network() {
		r.schedule.reached(delivered)
	}
	r.crasher.reached(acked, delivered)
}

func (r *run) answerLost() {
	if r.crasher.killed.Load() {
		return // the kill accounts for it
	}
	r.lost.Add(1)
	r.books.Interrupt()
}
