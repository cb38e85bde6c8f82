// Package delivery brings one connector's events from its queue to RudderStack.
//
// A Sender fetches records, makes one POST of as many as fit, and stores what
// came of it before it uses the slot again; so events in flight, and with them
// the duplicates that a crash can make, are at most Concurrency × MaxEvents.
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
	pace := pacing{
		min: config.MinBackoff, max: config.MaxBackoff,
		pause: config.ProbeInterval, random: config.Random,
	}
	transport := config.Transport
	if transport == nil {
		transport = NewTransport(config.Concurrency)
	}
	return &Sender{
		config: config,
		pacing: pace,
		poster: poster{
			transport: transport, request: request, secret: config.WriteKey,
			timeout: config.Timeout, maxAnswer: config.MaxAnswer,
		},
		gate:   gate{pacer: pacer{pacing: pace, since: time.Now()}},
		log:    config.Logger.With("connector", config.Name),
		lastly: StateOK,
	}, nil
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

	errs := make([]error, s.config.Concurrency)
	var all sync.WaitGroup
	for i := range errs {
		w := &worker{Sender: s, batch: batch{
			mode: s.config.Mode, mapper: s.config.Mapper,
			maxEvents: s.config.MaxEvents, maxBody: s.config.MaxBody,
		}}
		all.Go(func() {
			if errs[i] = w.run(ctx, hard); errs[i] != nil {
				stop() // the others would meet the same error, after sending once more
			}
		})
	}
	all.Wait()
	s.gate.close()
	if s.config.Transport == nil {
		s.poster.transport.(*http.Transport).CloseIdleConnections()
	}
	return errors.Join(errs...)
}

// Resume ends the wait of a destination that is paused or backing off: it is
// tried again at once.
func (s *Sender) Resume() {}

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
		s.log.Warn("destination is in trouble", "state", now.Name, "error", now.LastError, "next_try", now.NextTry)
	}
	s.config.Observer.StateChanged(now)
}
