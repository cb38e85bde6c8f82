package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// Where an account or a server is full, outcomes cannot be stored, so nothing is
// ever done, so nothing can be given up: it would stay full. Therefore all bridges
// of a prefix keep a stream of a few megabytes that mean nothing. Where there is
// no room for outcomes it is emptied, and no batch is taken until it is full again.
const (
	reserveMessages = 8
	reserveSize     = 256 << 10 // bytes of one of them, or half of max_payload
)

// reserve is this bridge's view of it. It is only used by the goroutine that keeps it.
type reserve struct {
	stream  natsjs.Stream
	subject string
	missed  time.Time   // when it was first seen to be gone; zero: it is there
	warned  atomic.Bool // that it cannot be filled
}

// openReserve makes the stream, or finds it.
func (s *Store) openReserve(ctx context.Context) error {
	r := &s.reserve
	r.subject = s.opts.Prefix + "._reserve"
	config := natsjs.StreamConfig{
		Name: s.opts.Prefix + "__reserve", Subjects: []string{r.subject}, Storage: natsjs.FileStorage, Replicas: s.server.Replicas,
		Description: "room that bridges give up where there is no other; it holds nothing of value",
	}
	stream, err := s.js.CreateStream(ctx, config)
	if errors.Is(err, natsjs.ErrStreamNameAlreadyInUse) {
		stream, err = s.js.Stream(ctx, config.Name)
	}
	if err != nil {
		return fmt.Errorf("stream %s with %d replicas: %w", config.Name, config.Replicas, err)
	}
	r.stream, r.missed = stream, time.Now().Add(-s.opts.patience)
	s.spent.Store(true)
	s.lookAtReserve(ctx)
	return nil
}

// keepReserve fills the reserve, and fills it again some time after it was given up.
func (s *Store) keepReserve() {
	for sleep(s.ctx, s.opts.every) {
		s.measure(s.ctx)
		s.lookAtReserve(s.ctx)
	}
}

// measure asks how much is left of the account, which all queues share.
func (s *Store) measure(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	if account, err := s.js.AccountInfo(ctx); err == nil && account.Limits.MaxStore > 0 {
		s.free.Store(max(account.Limits.MaxStore-int64(account.Store), 0))
	}
}

func (s *Store) lookAtReserve(ctx context.Context) {
	r := &s.reserve
	once, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	info, err := r.stream.Info(once)
	if err != nil {
		return // there is no connection, or no leader, and so no news
	}
	missing := reserveMessages - int(info.State.Msgs)
	if missing <= 0 {
		r.missed = time.Time{}
		s.spent.Store(false)
		if s.full.Load() && s.fill(once) == nil { // one more than is needed: there is room
			s.full.Store(false)
			missing--
		}
		if missing < 0 {
			_ = r.stream.Purge(once, natsjs.WithPurgeKeep(reserveMessages)) // or the next time
		}
		return
	}
	if r.missed.IsZero() {
		r.missed = time.Now()
		s.spent.Store(true)
	}
	if time.Since(r.missed) < s.opts.patience {
		return
	}
	for range missing {
		if err := s.fill(once); err != nil {
			if errors.Is(err, queue.ErrFull) && r.warned.CompareAndSwap(false, true) {
				s.opts.Logger.Warn("NATS has no room left; no batches are taken until it has", "error", err)
			}
			return
		}
	}
	r.missed = time.Time{}
	r.warned.Store(false)
	s.spent.Store(false)
	s.full.Store(false)
}

// fill adds one message to the reserve.
func (s *Store) fill(ctx context.Context) error {
	size := min(reserveSize, int(s.nc.MaxPayload())/2)
	m := &nats.Msg{Subject: s.reserve.subject, Header: nats.Header{}, Data: make([]byte, size)}
	_, err := s.attempt(ctx, []*nats.Msg{m})
	return err
}

// spendReserve gives the reserve up, so that outcomes can be stored. False: that was done already.
func (s *Store) spendReserve(ctx context.Context) bool {
	if s.reserve.stream == nil {
		return false
	}
	info, err := s.reserve.stream.Info(ctx)
	if err != nil || info.State.Msgs == 0 {
		return false
	}
	s.spent.Store(true)
	s.opts.Logger.Warn("NATS has no room left for outcomes: the reserve is given up, and no batches are taken until it is there again; make room")
	return s.reserve.stream.Purge(ctx) == nil
}

// publishOutcome is publish for what must find room where batches do not.
func (s *Store) publishOutcome(ctx context.Context, messages ...*nats.Msg) (ack, error) {
	a, err := s.publish(ctx, messages...)
	if errors.Is(err, queue.ErrFull) && s.spendReserve(ctx) {
		a, err = s.publish(ctx, messages...)
	}
	return a, err
}
