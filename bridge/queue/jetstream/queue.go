package jetstream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/window"
)

const (
	metaConnector = "currentsbridge.connector"
	metaIdentity  = "currentsbridge.identity" // tells a stream from one of the same name that was deleted
)

// connQueue is one connector's queue, as this bridge sees it.
type connQueue struct {
	store  *Store
	name   string
	names  names
	js     natsjs.Stream
	origin string // begins the Origin of all records
	fold   *fold
	tail   tail
	pulls  *nats.Subscription
	inbox  string
	bytes  atomic.Int64

	limited atomic.Bool // the newest batch was refused because too much is pending

	// idMu guards the window of ids and the appends under way.
	idMu     sync.Mutex
	ids      *window.Window
	underWay []*appending

	buryMu  sync.Mutex // one letter gets its number at a time
	eraseMu sync.Mutex // one erasure at a time
	tidyMu  sync.Mutex // totals are stored by one at a time
	cut     uint64     // guarded by tidyMu: history before it was given up
	tidied  time.Time  // guarded by tidyMu
	pressed uint64     // guarded by tidyMu: refusals that history was given up for

	// mu guards what this bridge holds.
	mu      sync.Mutex
	gone    bool              // the store is closed
	held    map[uint64]*lease // by record: everything that is ours now
	pool    []*lease          // those that are not handed out, by record
	asked   *sweep            // the request for messages that is under way
	turn    chan struct{}     // whose turn it is to ask
	polling time.Time         // until then a request that waits is under way
	waiting int               // calls of Fetch
	more    chan struct{}     // closed when the pool gets more
	synced  time.Time         // when the fold was last known to be up to date
	letters map[uint64]uint64 // where the letter lies that a page ended with
}

var _ queue.Queue = (*connQueue)(nil)

// openQueue makes what is missing of the stream and reads where it stands.
func (s *Store) openQueue(ctx context.Context, name string, ids int) (*connQueue, error) {
	q := &connQueue{
		store: s, name: name, names: namesOf(s.opts.Prefix, name), fold: newFold(s.bridge, s.opts.Now), ids: window.New(ids),
		held: map[uint64]*lease{}, turn: make(chan struct{}, 1), more: make(chan struct{}), letters: map[uint64]uint64{},
	}
	if err := s.again(ctx, q.ensure); err != nil {
		return nil, err
	}
	t, side, at, err := q.load(ctx)
	if err != nil {
		return nil, err
	}
	q.fold.adopt(t, side, at)
	if err := s.again(ctx, q.follow); err != nil {
		return nil, err
	}
	err = q.sync(ctx)
	if err == nil {
		err = q.remember(ctx, ids)
	}
	if err == nil {
		err = q.listen()
	}
	if err != nil {
		q.stopReading()
		return nil, err
	}
	q.turn <- struct{}{}
	s.work.Go(q.heartbeats)
	s.work.Go(q.upkeep)
	return q, nil
}

// ensure makes stream and consumer, or brings them up to date with the options.
func (q *connQueue) ensure(ctx context.Context) error {
	s := q.store
	want := natsjs.StreamConfig{
		Name: q.names.stream, Subjects: []string{q.names.all()}, Storage: natsjs.FileStorage, Replicas: s.server.Replicas,
		Retention: natsjs.LimitsPolicy, Discard: natsjs.DiscardNew, Duplicates: s.opts.Repeats, AllowAtomicPublish: true,
		Description: "queue of a connector of currentsbridge; to be changed by bridges only",
		Metadata:    map[string]string{metaConnector: q.name, metaIdentity: rand.Text()},
	}
	stream, err := s.js.Stream(ctx, want.Name)
	switch {
	case errors.Is(err, natsjs.ErrStreamNotFound):
		if stream, err = s.js.CreateStream(ctx, want); errors.Is(err, natsjs.ErrStreamNameAlreadyInUse) {
			stream, err = s.js.Stream(ctx, want.Name) // another bridge was quicker
		}
	case err == nil:
		stream, err = q.update(ctx, stream, want)
	}
	if err != nil {
		return fmt.Errorf("stream %s with %d replicas: %w", want.Name, want.Replicas, err)
	}
	have := stream.CachedInfo().Config
	if have.Metadata[metaConnector] != q.name || have.Metadata[metaIdentity] == "" {
		return fmt.Errorf("stream %s is none of a bridge's: delete it, or choose another prefix", want.Name)
	}
	q.js, q.origin = stream, have.Metadata[metaIdentity]
	_, err = stream.CreateOrUpdateConsumer(ctx, natsjs.ConsumerConfig{
		Durable: consumerName, AckPolicy: natsjs.AckExplicitPolicy, AckWait: s.opts.AckWait, MaxDeliver: -1, MaxAckPending: -1,
		FilterSubjects: []string{q.names.of(wordRecord), q.names.below(wordRecord)}, MaxWaiting: maxPulls,
	})
	if err != nil {
		return fmt.Errorf("consumer %s of stream %s: %w", consumerName, want.Name, err)
	}
	return nil
}

// update gives an existing stream this bridge's options.
func (q *connQueue) update(ctx context.Context, stream natsjs.Stream, want natsjs.StreamConfig) (natsjs.Stream, error) {
	have := stream.CachedInfo().Config
	if have.Metadata[metaConnector] != q.name || have.Replicas == want.Replicas && have.Duplicates == want.Duplicates {
		return stream, nil
	}
	q.store.opts.Logger.Info("the stream is changed to this bridge's options", "stream", want.Name,
		"replicas", want.Replicas, "duplicate window", want.Duplicates)
	have.Replicas, have.Duplicates = want.Replicas, want.Duplicates
	return q.store.js.UpdateStream(ctx, have)
}

// originOf names a record for ever: by its stream and its place there.
func (q *connQueue) originOf(seq uint64) string { return fmt.Sprintf("%s-%d", q.origin, seq) }

// Ledger implements queue.Queue. The totals are those of all bridges.
func (q *connQueue) Ledger() queue.Ledger { return q.fold.view() }

// begin lets a call begin; what it returns must be called at the call's end.
func (q *connQueue) begin(ctx context.Context) (end func(), err error) {
	s := q.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, queue.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.calls.Add(1)
	return s.calls.Done, nil
}

// beginLong is begin for a call that does not outlive the store's end.
func (q *connQueue) beginLong(ctx context.Context) (context.Context, func(), error) {
	end, err := q.begin(ctx)
	if err != nil {
		return ctx, nil, err
	}
	ctx, cancel := q.store.untilEnd(ctx)
	return ctx, func() { cancel(); end() }, nil
}

// leave gives everything back at the store's end.
func (q *connQueue) leave() {
	q.tidyUp()
	q.giveBack()
	q.stopReading()
}
