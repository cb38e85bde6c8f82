// Package harness runs Braze, the bridge and RudderStack together and says
// whether the bridge kept its promises.
//
// The two ends are the fakes of this project, in this process; the bridge is
// the real program, in a process of its own, so that it can be killed. Run
// sends events of every type through mockbraze's Currents, makes RudderStack
// fail in every way that is asked for, keeps the books (package oracle), and
// gives its verdict in a Report. A run passes only if
//
//   - every acknowledged event was delivered and is equal to what was sent, or is
//     dead or filtered exactly where it should be;
//   - nothing arrived that was never sent, nothing twice that no fault explains, and
//     nothing invalid;
//   - the bridge's own ledger agrees;
//   - each fault that was asked for happened.
//
// Faults come by the share of events that got through, not by the clock, so
// that a run of two thousand events meets all of them and so does one of a
// million.
//
// Judge gives the same verdict on a run of programs that the harness did not start,
// such as containers, from what they have left behind.
package harness

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/currentsbridge/currentsbridge/harness/oracle"
	"github.com/currentsbridge/currentsbridge/internal/cli"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

type run struct {
	config   Config
	books    *oracle.Books
	rudder   *mockrudder.Server
	braze    *mockbraze.Server
	watch    *watch
	process  *process
	schedule *schedule

	killed    atomic.Bool // from a kill until nothing of that process is in flight
	down      atomic.Bool // from a kill until the bridge is ready again
	kills     atomic.Int64
	killsLock sync.Mutex
	restarts  sync.WaitGroup

	// stopRudder closes what serves RudderStack to the bridge that runs.
	stopRudder func()

	running context.Context // the run; no kill and no start after it
	end     context.CancelFunc

	began    time.Time
	shown    int64        // events delivered, in the last progress line
	shownAt  time.Time    // time of that line
	attempts atomic.Int64 // events in requests of Braze, answered or not
	answered atomic.Int64 // of them in requests that got 2XX
	lost     atomic.Int64 // responses of RudderStack that never arrived

	mu       sync.Mutex
	troubles []string
}

// Run makes one run and gives the verdict. An error means that there is no verdict: the
// configuration is wrong, the bridge's program is missing or does not start, or
// ctx ended. A run that fails is a Report.
func Run(ctx context.Context, c Config) (Report, error) {
	c, err := c.withDefaults()
	if err != nil {
		return Report{}, err
	}
	program, err := findBridge(c.Bridge)
	if err != nil {
		return Report{}, err
	}
	dir, remove, err := workDir(c.Dir, "currentsbridge-harness-")
	if err != nil {
		return Report{}, err
	}
	defer remove()
	archive, err := os.OpenFile(filepath.Join(dir, "sent"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return Report{}, fmt.Errorf("archive of what is sent: %w", err)
	}
	defer archive.Close()
	r := &run{config: c, books: oracle.NewBooks(c.rules(), archive), stopRudder: func() {}}
	r.running, r.end = context.WithCancel(ctx)
	defer r.end()
	if r.rudder, err = mockrudder.New(mockrudder.WithKeep(1000), mockrudder.WithObserver(r.arrived)); err != nil {
		return Report{}, err
	}
	defer r.rudder.Close()
	if r.braze, err = mockbraze.New(mockbraze.WithSeed(c.Seed)); err != nil {
		return Report{}, err
	}
	defer r.braze.Close()
	r.schedule = newSchedule(r.rudder, c.Mode, int64(c.Events))
	var next http.Handler = r.rudder
	if c.Break != BreakNothing {
		next = &spoiler{how: c.Break, next: next, victims: map[string]bool{}}
	}
	r.watch = &watch{next: c.Rudder(next), lost: r.responseLost}
	if r.process, err = newProcess(program, dir); err != nil {
		return Report{}, err
	}
	defer func() { r.stopRudder() }()
	defer r.process.stop() //nolint:errcheck // after a run it has stopped already
	if err := r.startBridge(); err != nil {
		return Report{}, err
	}
	report := r.drive(ctx)
	if err := ctx.Err(); err != nil {
		return Report{}, fmt.Errorf("the run was interrupted: %w", err)
	}
	return report, nil
}

func (r *run) startBridge() error {
	address, stop, err := serve("127.0.0.1:0", r.watch)
	if err != nil {
		return fmt.Errorf("listen for RudderStack: %w", err)
	}
	r.stopRudder = stop
	return r.process.start(r.running, r.config.bridgeSettings("http://"+address))
}

// serve serves on an address until stop is called. at is the address in use.
func serve(address string, h http.Handler) (at string, stop func(), err error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = cli.Serve(ctx, server, ln, time.Second) // it ends because of cancel
	}()
	return ln.Addr().String(), func() {
		cancel()
		<-served
	}, nil
}

// workDir makes the directory given, or a temporary one where none is. remove
// removes a temporary one.
func workDir(given, pattern string) (dir string, remove func(), err error) {
	if given != "" {
		err = os.MkdirAll(given, 0o700)
		return given, func() {}, err
	}
	if dir, err = os.MkdirTemp("", pattern); err != nil {
		return "", nil, fmt.Errorf("make a temporary directory: %w", err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil // what stays behind is the system's to clean
}

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
	r.end()
}

// sending, acknowledged, arrived and responseLost observe the run's events. They are
// called from many goroutines at once.

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

func (r *run) advance() {
	acked, _, delivered := r.books.Progress()
	if r.config.Faults.network() {
		r.schedule.reached(delivered)
	}
	r.crash(acked, delivered)
}

func (r *run) responseLost() {
	if r.killed.Load() {
		return // the kill accounts for it
	}
	r.lost.Add(1)
	r.books.Interrupt()
}

// watch is middleware that observes what the books need to know: which responses
// were lost, and whether a request is still in flight.
type watch struct {
	next http.Handler
	lost func() // called before the client can notice that no response comes

	inFlight atomic.Int64 // requests
}

// ServeHTTP passes the request on. A response is lost where the connection is
// hijacked or closed, or where the client has left.
func (w *watch) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.inFlight.Add(1)
	defer w.inFlight.Add(-1)
	response := &watchedResponse{ResponseWriter: rw, lost: w.lost}
	left := context.AfterFunc(r.Context(), response.lose)
	returned := false
	defer func() {
		left()
		if !returned { // a panic, which closes the connection once it is past here
			response.lose()
		}
	}()
	w.next.ServeHTTP(response, r)
	returned = true
}

func (w *watch) idle() bool { return w.inFlight.Load() == 0 }

type watchedResponse struct {
	http.ResponseWriter
	lost func()
	done atomic.Bool
}

func (a *watchedResponse) lose() {
	if !a.done.Swap(true) {
		a.lost()
	}
}

// Hijack implements http.Hijacker: a handler that takes the connection over sends no
// response.
func (a *watchedResponse) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	a.lose()
	return http.NewResponseController(a.ResponseWriter).Hijack()
}

// Unwrap lets an http.ResponseController reach the response itself.
func (a *watchedResponse) Unwrap() http.ResponseWriter { return a.ResponseWriter }
