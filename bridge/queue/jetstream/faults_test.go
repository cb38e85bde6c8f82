package jetstream

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/natstest"
)

// The server stops and starts again and again under two bridges, and one of
// those dies. Nothing is lost, and the ledger is exact.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	_, a := bridge(t, quick(t, srv))
	dying, b := bridge(t, quick(t, srv))
	ctx, cancel := context.WithTimeout(t.Context(), 2*patient)
	defer cancel()
	c := &tally{counts: map[string]int{}}
	var ids []string
	var sending, working sync.WaitGroup
	sending.Go(func() { ids = sendUntil(ctx, t, a, "a", 120) })
	working.Go(func() { work(ctx, a, c) })
	working.Go(func() { work(ctx, b, c) })
	for round := range 3 {
		eventually(t, func() bool { return c.len() > 60*(round+1) }, "events are delivered")
		srv.Stop()
		if round == 1 {
			dying.kill()
		}
		srv.Resume(t)
	}
	sending.Wait()
	everythingArrives(t, a, c, ids)
	cancel()
	working.Wait()
}

// everythingArrives requires that all ids are delivered at least once and that
// the ledger says once.
func everythingArrives(t *testing.T, q *connQueue, c *tally, ids []string) {
	t.Helper()
	eventually(t, func() bool { return q.Ledger().Pending() == 0 }, "everything is delivered")
	l := agree(t, q)
	require.Equal(t, l.Accepted, l.Delivered)
	require.Equal(t, uint64(len(ids)), l.Accepted, "each event is stored once")
	c.mu.Lock()
	defer c.mu.Unlock()
	missing := 0
	for _, id := range ids {
		if c.counts[id] == 0 {
			missing++
		}
	}
	// A settlement whose answer came too late counts as delivered and is not in the tally.
	require.LessOrEqual(t, missing, 40, "events that no worker is sure of")
}

func TestNothingIsClaimedWithoutAServer(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	opts := calm(t, srv)
	opts.patience = time.Second
	_, q := bridge(t, opts)
	add(t, q, queue.Receipt{Accepted: 1}, "0")
	r := fetch(t, q, 1)
	srv.Stop()
	var calls sync.WaitGroup
	errs := make(chan error, 3)
	calls.Go(func() {
		_, err := q.Append(t.Context(), batchOf(20, "1"))
		errs <- err
	})
	calls.Go(func() { errs <- q.Settle(t.Context(), delivered(r...)) })
	calls.Go(func() {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := q.Append(ctx, batchOf(20, "2"))
		errs <- err
	})
	calls.Wait()
	for range 3 {
		err := <-errs
		require.Error(t, err)
		require.False(t, errors.Is(err, queue.ErrClosed) || errors.Is(err, queue.ErrFailed) || errors.Is(err, queue.ErrNotHeld), "%v would end the bridge", err)
	}
	require.Equal(t, uint64(1), q.Ledger().Pending())
	srv.Resume(t)
	eventually(t, func() bool { return q.Settle(t.Context(), delivered(r...)) == nil }, "it goes on by itself")
	q.Release(r...)
	add(t, q, queue.Receipt{Accepted: 2}, "1", "2")
	deliver(t, q, fetch(t, q, 2)...)
	require.Equal(t, queue.Ledger{Received: 3, Accepted: 3, Delivered: 3}, agree(t, q))
}

// An acknowledgement gets lost: what was stored is found to be so.
func TestLostAcknowledgement(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	s, q := bridge(t, calm(t, srv))
	// Sent twice, as after a lost answer: the second attempt is told so.
	b := batchOf(20, "0", "1")
	parts, err := q.split(b, []int{0, 1}, nil)
	require.NoError(t, err)
	for range 2 {
		_, err = q.storePortion(t.Context(), b, parts[0])
		require.NoError(t, err)
	}
	require.True(t, parts[0].repeated, "another call's")
	require.Equal(t, uint64(2), agree(t, q).Accepted)
	parts[0].repeated = false
	parts, err = q.split(batchOf(20, "2"), []int{0}, nil)
	require.NoError(t, err)
	p := parts[0]
	p.nonce = 77
	q.fold.mine[77] = &p.at
	m := p.message
	m.Header[header] = []string{p.entry(batchOf(20, "2"), s.bridge, 0).encode()}
	first, err := s.publish(t.Context(), m)
	require.NoError(t, err)
	again, err := s.publish(t.Context(), m)
	require.NoError(t, err)
	require.Equal(t, first.seq, again.seq)
	require.True(t, again.repeat)
	require.True(t, q.isMine(t.Context(), p, again.seq))

	// With dead letters, which are stored together with the outcome.
	r := fetch(t, q, 3)
	x, err := q.choose(queue.Settlement{Dead: []queue.DeadEvent{{Seq: r[0].Seq, Index: 0, Reason: "refused"}}})
	require.NoError(t, err)
	make := func(number uint64) ([]*nats.Msg, error) {
		letters, numbers := q.lettersOf(x, number)
		return append(letters, message(q.names.of(wordLog), entry{kind: kindOutcome, claims: x.claims(numbers)}, nil, "once")), nil
	}
	_, err = q.bury(t.Context(), s.publish, make)
	require.NoError(t, err)
	_, err = q.bury(t.Context(), s.publish, make)
	require.ErrorIs(t, err, errRepeat)
	require.Equal(t, uint64(1), agree(t, q).Dead)
	letters, err := q.Dead(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Len(t, letters, 1)
}

// Three servers keep every stream three times; the one that leads stops under
// two bridges at work.
func TestCluster(t *testing.T) {
	t.Parallel()
	nodes := natstest.Cluster(t, 3)
	opts := quick(t, nodes[0])
	opts.URL = natstest.URLs(nodes)
	a := clusterBridge(t, opts)
	b := clusterBridge(t, opts)
	seen, err := Inspect(t.Context(), opts)
	require.NoError(t, err)
	require.Equal(t, 3, seen.Replicas)
	require.Equal(t, "test", seen.Cluster)
	require.Equal(t, 3, seen.Nodes)
	info, err := a.js.Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, info.Config.Replicas)
	require.Equal(t, natsjs.FileStorage, info.Config.Storage)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patient)
	defer cancel()
	c := &tally{counts: map[string]int{}}
	var ids, others []string
	var sending, working sync.WaitGroup
	sending.Go(func() { ids = sendUntil(ctx, t, a, "a", 60) })
	sending.Go(func() { others = sendUntil(ctx, t, b, "b", 60) })
	working.Go(func() { work(ctx, a, c) })
	working.Go(func() { work(ctx, b, c) })
	eventually(t, func() bool { return c.len() > 100 }, "events are delivered")
	for _, n := range nodes {
		if n.Name() == info.Cluster.Leader {
			n.Stop()
			t.Log("stopped the leader,", n.Name())
		}
	}
	sending.Wait()
	everythingArrives(t, a, c, append(ids, others...))
	agree(t, a, b)
	cancel()
	working.Wait()
}

func clusterBridge(t *testing.T, opts Options) *connQueue {
	t.Helper()
	var s *Store
	eventually(t, func() (ok bool) {
		var err error
		if s, err = open(t.Context(), opts); err != nil {
			return false
		}
		if _, err = s.Open(t.Context(), "a", testWindow); err != nil {
			t.Log("not yet: ", err)
			_ = s.Close()
		}
		return err == nil
	}, "the cluster is ready")
	t.Cleanup(func() { _ = s.Close() })
	return queueOf(t, s)
}
