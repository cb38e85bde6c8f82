// Package delivery brings one connector's events from its queue to RudderStack.
//
// A Sender fetches records, makes one POST of as many as fit, and stores what
// came of it before it uses the slot again; so events in flight, and with them
// the duplicates that a crash can make, are at most Concurrency × MaxEvents,
// and while a replay of history runs MaxEvents more (or one batch of Braze,
// where that has more events).
// What each answer means is one table, in answers.go; when the next try is due
// is plain arithmetic, in pace.go.
//
// Nothing is ever given up: only an event that RudderStack refuses on its own
// (400, 413) goes to the dead letters. It does so after it was sent alone, and
// its neighbours are delivered.
package delivery

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Sender delivers for one connector. Make it with New.
type Sender struct {
	config Config
	pacing pacing
	poster poster
	gate   gate
	log    *slog.Logger

	packing packing
	asks    sync.WaitGroup // questions to /version under way

	running atomic.Bool
	told    sync.Mutex // held while the log and the observer are told of a state
	lastly  string     // the name of the state that they were told last
}

// New returns a Sender, or an error that names every field of config that is
// wrong. It sends nothing before Run.
func New(config Config) (*Sender, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	request, err := config.request()
	if err != nil {
		return nil, err
	}
	version, err := config.versionRequest()
	if err != nil {
		return nil, err
	}
	pace := pacing{
		min: config.MinBackoff, max: config.MaxBackoff,
		pause: config.ProbeInterval, random: config.Random,
	}
	if config.RequestsPerSecond > 0 {
		pace.every = time.Duration(min(float64(time.Second)/config.RequestsPerSecond, float64(maxEvery)))
	}
	transport := config.Transport
	if transport == nil {
		own := NewTransport(config.Concurrency + 1) // a replay's POST comes beside the others
		own.TLSClientConfig.RootCAs = config.RootCAs
		transport = own
	}
	s := &Sender{
		config: config,
		pacing: pace,
		poster: poster{
			transport: transport, request: request, version: version, secret: config.WriteKey,
			timeout: config.Timeout, maxAnswer: config.MaxAnswer,
		},
		gate:   gate{pacer: pacer{pacing: pace, since: time.Now()}},
		log:    config.Logger.With("connector", config.Name),
		lastly: StateOK,
	}
	s.packing = packing{never: config.Gzip == GzipOff, random: config.Random, changed: s.gzipChanged}
	return s, nil
}

// maxEvery is the longest time between two POSTs that a limit can ask for.
const maxEvery = 24 * time.Hour

func (s *Sender) gzipChanged(on bool, why string) {
	if on {
		s.log.Info("bodies are packed from now on")
	} else {
		s.log.Info("bodies are not packed any more", "why", why)
	}
	s.config.Observer.GzipChanged(on)
}

// Run delivers until ctx ends. Then it fetches and sends nothing more, gives
// POSTs under way the configured grace to finish, stores their outcomes,
// releases the rest and returns nil.
//
// It returns an error only where no outcome can be stored any more
// (queue.ErrClosed, queue.ErrFailed, queue.ErrNotHeld). One Run at a time.
func (s *Sender) Run(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return errors.New("delivery: this sender is running already")
	}
	defer s.running.Store(false)

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	grace := context.AfterFunc(ctx, func() {
		if sleep(hard, s.config.Grace) {
			cut()
		}
	})
	defer grace()

	s.packing.begin()
	errs := make([]error, s.config.Concurrency+1)
	var all sync.WaitGroup
	work := func(i int, run func(ctx, hard context.Context) error) {
		all.Go(func() {
			if errs[i] = run(ctx, hard); errs[i] != nil {
				stop() // the others would meet the same error, after sending once more
			}
		})
	}
	for i := range s.config.Concurrency {
		work(i, s.worker().run)
	}
	if s.config.Replays != nil {
		work(s.config.Concurrency, s.replayer().run)
	}
	all.Wait()
	stop()
	s.asks.Wait()
	s.gate.close()
	if s.config.Transport == nil {
		s.poster.transport.(*http.Transport).CloseIdleConnections()
	}
	return errors.Join(errs...)
}

// Resume is the operator's word that a destination in trouble is well again: it
// is tried at once, whatever wait was under way and whatever a Retry-After has
// asked for. If it is not well, the waits go on as before. It may be called at
// any time; without a Run the next one begins with a try.
func (s *Sender) Resume() {
	if now := s.State(); now.Name != StateOK {
		s.log.Info("destination is tried at once, as told", "state", now.Name)
	}
	s.gate.resume()
}

// State returns how the destination does now.
func (s *Sender) State() State { return s.gate.state() }

// announce tells the log and the observer of a state that is new to them.
func (s *Sender) announce() {
	s.told.Lock()
	defer s.told.Unlock()
	now := s.State()
	if now.Name == s.lastly {
		return
	}
	s.lastly = now.Name
	if now.Name == StateOK {
		s.log.Info("destination is ok", "state", now.Name)
	} else {
		about := []any{"state", now.Name, "error", now.LastError}
		if !now.NextTry.IsZero() { // else each batch has a wait of its own
			about = append(about, "next_try", now.NextTry)
		}
		s.log.Warn("destination is in trouble", about...)
	}
	s.config.Observer.StateChanged(now)
}
