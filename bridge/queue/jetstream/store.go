package jetstream

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// Store is the store on JetStream. Open makes one.
type Store struct {
	opts    Options
	nc      *nats.Conn
	js      natsjs.JetStream
	server  Server
	bridge  uint64 // tells this one from all other bridges
	nonce   atomic.Uint64
	full    atomic.Bool  // the servers refused something for want of room, and nothing was stored since
	limit   atomic.Int64 // opts.MaxBytes
	free    atomic.Int64 // what is left of the account's storage
	spent   atomic.Bool  // the reserve is given up
	reserve reserve

	refusals atomic.Uint64 // for want of room

	done   chan struct{}
	ctx    context.Context // ends when Close is called
	end    context.CancelFunc
	work   sync.WaitGroup // of the store itself
	calls  sync.WaitGroup // of others, under way
	openMu sync.Mutex     // one queue is opened at a time

	mu     sync.Mutex
	closed bool
	queues map[string]*connQueue
}

var _ queue.Store = (*Store)(nil)

// Open connects to the cluster and returns its store. Streams are made when
// queues are opened. Its errors say which option is wrong and what to do.
func Open(ctx context.Context, opts Options) (queue.Store, error) {
	s, err := open(ctx, opts)
	if err != nil {
		return nil, err // and no nil *Store, which were no nil interface
	}
	return s, nil
}

func open(ctx context.Context, opts Options) (*Store, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	nc, err := connect(ctx, opts)
	if err != nil {
		return nil, err
	}
	s := &Store{opts: opts, nc: nc, done: make(chan struct{}), queues: map[string]*connQueue{}}
	s.limit.Store(opts.MaxBytes)
	s.ctx, s.end = context.WithCancel(context.Background())
	if s.server, err = inspect(ctx, nc, opts); err == nil {
		s.js, err = natsjs.New(nc)
	}
	if err == nil {
		err = s.again(ctx, s.openReserve)
	}
	if err != nil {
		s.end()
		nc.Close()
		return nil, err
	}
	s.work.Go(s.keepReserve)
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	s.bridge = binary.LittleEndian.Uint64(id[:]) | 1
	if s.server.Replicas == 1 {
		opts.Logger.Warn("NATS keeps every stream on one server only: what it has acknowledged is lost with its disk; use a cluster of three", "server", s.server.Name)
	}
	return s, nil
}

// Connectors implements queue.Store.
func (s *Store) Connectors(ctx context.Context) ([]string, error) {
	if err := s.alive(ctx); err != nil {
		return nil, err
	}
	var out []string
	list := s.js.StreamNames(ctx, natsjs.WithStreamListSubject(s.opts.Prefix+".>"))
	for name := range list.Name() {
		if connector, ok := connectorOf(s.opts.Prefix, name); ok {
			out = append(out, connector)
		}
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("list the streams of NATS: %w", s.endedOr(err))
	}
	slices.Sort(out)
	return out, nil
}

// alive returns why nothing may be begun.
func (s *Store) alive(ctx context.Context) error {
	select {
	case <-s.done:
		return queue.ErrClosed
	default:
		return ctx.Err()
	}
}

// endedOr returns queue.ErrClosed in the place of an error that came of the
// store's end.
func (s *Store) endedOr(err error) error {
	select {
	case <-s.done:
		if err != nil {
			return queue.ErrClosed
		}
	default:
	}
	return err
}

// untilEnd returns a context that ends with the store, too.
func (s *Store) untilEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// Usage implements queue.Store. Bytes are those of the open queues' streams, as
// they were a moment ago, kept once; Free is what is left of the account's
// limit, or zero where it has none.
func (s *Store) Usage() queue.Usage {
	u := queue.Usage{Full: s.full.Load() || s.spent.Load(), Free: s.free.Load()}
	s.mu.Lock()
	for _, q := range s.queues {
		u.Bytes += q.bytes.Load()
		u.Full = u.Full || q.overLimit()
	}
	s.mu.Unlock()
	return u
}

// Close implements queue.Store. What this bridge holds is given back, so that
// others have it at once.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	queues := s.queues
	s.mu.Unlock()
	close(s.done)
	s.end()
	s.calls.Wait()
	s.work.Wait()
	for _, q := range queues {
		q.leave()
	}
	s.nc.Close()
	return nil
}

// kill ends the store as a crash would: nothing is given back. Tests use it.
func (s *Store) kill() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.nc.Close()
	close(s.done)
	s.end()
	s.work.Wait()
}

// Open implements queue.Store.
func (s *Store) Open(ctx context.Context, name string, window int) (queue.Queue, error) {
	if err := s.alive(ctx); err != nil {
		return nil, err
	}
	s.openMu.Lock()
	defer s.openMu.Unlock()
	s.mu.Lock()
	q := s.queues[name]
	s.mu.Unlock()
	if q != nil {
		return q, nil
	}
	ctx, cancel := s.untilEnd(ctx)
	defer cancel()
	q, err := s.openQueue(ctx, name, window)
	if err != nil {
		return nil, s.endedOr(fmt.Errorf("open the queue of connector %s on NATS: %w", name, err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, queue.ErrClosed
	}
	s.queues[name] = q
	return q, nil
}

// again calls f until it succeeds, fails for good, or patience is over. What
// the servers cannot do now they may do in a moment, when they have a leader.
func (s *Store) again(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.patience)
	defer cancel()
	for {
		once, stop := context.WithTimeout(ctx, attemptTime)
		err := f(once)
		stop()
		if err == nil || lasting(err) {
			return err
		}
		if !sleep(ctx, longPause/5) {
			return err
		}
	}
}

// lasting tells whether an error of the API will be the same the next time.
func lasting(err error) bool {
	var e *natsjs.APIError
	if errors.As(err, &e) {
		const serverSide = 500
		return e.Code < serverSide || e.ErrorCode == codeStandsAlone
	}
	return errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, natsjs.ErrMsgNotFound) || errors.Is(err, queue.ErrNewerFormat)
}
