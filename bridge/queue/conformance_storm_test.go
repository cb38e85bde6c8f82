package queue_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

var (
	cuts     = flag.Int("cuts", 4, "how often TestPowerCuts cuts the power")
	cutsSeed = flag.Uint64("seed", 1, "seed of TestPowerCuts; moments still depend on the machine")
)

// TestPowerCuts cuts the power under one store again and again in the middle of
// work, with none, some or all of what was not synced on disk afterwards. History
// is pruned all the while.
func TestPowerCuts(t *testing.T) {
	k := newKit(t, newSite(t, queue.Options{}.WithUpkeepEvery(time.Millisecond)))
	b, rng, began, total := books{}, rand.New(rand.NewPCG(*cutsSeed, 2)), time.Now(), 0
	for cut := range *cuts {
		percent := [...]int{0, 0, rng.IntN(100), 100}[rng.IntN(4)]
		newStorm(k, b, fmt.Sprint("storm-", cut/cutsOfOne), rng.Uint64N(1<<40), percent).run()
		if cut%cutsOfOne == cutsOfOne-1 || cut == *cuts-1 {
			total += len(b)
			t.Logf("%d power cuts in %s: of %d events nothing acknowledged was lost", cut+1, time.Since(began).Round(time.Second), total)
			b = books{}
		}
	}
}

// cutsOfOne is after how many power cuts another connector begins: all that was
// ever acknowledged to one is sent again after each cut.
const cutsOfOne = 10

// storm is one power cut in the middle of concurrent work, and the checks
// after it. Its books say what the queue has promised.
type storm struct {
	k       *kit
	name    string
	seed    uint64
	percent int
	q       *queue.Queue

	mu    sync.Mutex
	books books
	after int           // acknowledgements until the cut
	cut   chan struct{} // closed when there were so many
}

// books hold what is known of an event, by its id. What is tried may or may not
// have happened; what is acknowledged must have. They are kept over all power cuts of
// a store.
type books map[string]note

type note uint8

const (
	acked   note = 1 << iota // Append has returned
	trying                   // Settle was called
	settled                  // Settle has returned
	burying                  // of trying: to the dead letters
	dead                     // of settled: in the dead letters
)

func (n note) has(what note) bool { return n&what != 0 }

func (b books) add(what note, ids ...string) {
	for _, id := range ids {
		b[id] |= what
	}
}

// resolve notes what the cut has decided.
func (b books) resolve(pending, buried map[string]int) {
	for id := range pending {
		b[id] = b[id]&dead | acked
	}
	for id, n := range b {
		if n.has(trying) {
			b[id] |= settled
		}
	}
	for id := range buried {
		b[id] |= dead
	}
}

const (
	stormWindow  = 1 << 20
	stormSenders = 4
	stormWorkers = 2
)

func newStorm(k *kit, b books, name string, seed uint64, percent int) *storm {
	k.window = stormWindow
	return &storm{
		k: k, books: b, name: name, seed: seed, percent: percent, cut: make(chan struct{}),
		after: 5 + int(seed*7919%120), q: k.open(name),
	}
}

func (s *storm) run() {
	work, failed := errgroup.WithContext(s.k.ctx)
	start := func(n int, do func(int) error) {
		for i := range n {
			work.Go(func() error {
				if err := do(i); !over(err) {
					return err
				}
				return nil
			})
		}
	}
	start(stormSenders, s.send)
	start(stormWorkers, s.work)
	select {
	case <-s.cut:
	case <-failed.Done():
	}
	s.mu.Lock()
	ledger, promised := s.q.Ledger(), maps.Clone(s.books)
	s.mu.Unlock()
	s.k.site.crash(s.k.T, s.k.store, s.percent, s.seed)
	s.k.store = nil
	require.NoError(s.k, work.Wait())
	// What was acknowledged after the cut was so by a machine that was off.
	for id, n := range s.books {
		s.books[id] = n&(trying|burying) | promised[id]&(acked|settled|dead)
	}
	s.q = s.k.open(s.name)
	s.check(promised, ledger)
}

// over says whether an error means that the power was cut.
func over(err error) bool {
	return errors.Is(err, queue.ErrClosed) || errors.Is(err, queue.ErrFailed)
}

// send appends batches until the cut, some events of which it has sent before.
func (s *storm) send(sender int) error {
	rng := rand.New(rand.NewPCG(s.seed, uint64(sender)))
	var mine []string
	for b := 0; ; b++ {
		var ids []string
		for i := range 1 + rng.IntN(20) {
			ids = append(ids, fmt.Sprintf("%d-%d-%d-%d", s.seed, sender, b, i))
		}
		fresh := len(ids)
		if len(mine) > 0 {
			ids = append(ids, mine[rng.IntN(len(mine))])
		}
		got, err := s.q.Append(s.k.ctx, s.k.batch(ids...))
		if err != nil {
			return err
		}
		if got.Accepted != fresh || got.Duplicates != len(ids)-fresh {
			return fmt.Errorf("receipt %+v for %d new events and %d repeats", got, fresh, len(ids)-fresh)
		}
		mine = append(mine, ids[:fresh]...)
		s.mu.Lock()
		s.books.add(acked, ids...)
		s.acknowledged()
		s.mu.Unlock()
	}
}

// acknowledged counts, and brings about the cut. mu must be held.
func (s *storm) acknowledged() {
	if s.after--; s.after == 0 {
		close(s.cut)
	}
}

// work settles some of what it fetches until the cut.
func (s *storm) work(worker int) error {
	rng := rand.New(rand.NewPCG(s.seed, uint64(100+worker)))
	for {
		records, err := s.q.Claim(s.k.ctx, queue.Limit{Events: 1 + rng.IntN(40), Bytes: 1 << 20})
		if err != nil {
			return err
		}
		settlement, done, buried := s.choose(rng, records)
		err = s.q.Settle(s.k.ctx, settlement)
		s.q.Release(records...)
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.books.add(settled, done...)
		s.books.add(dead, buried...)
		s.acknowledged()
		s.mu.Unlock()
	}
}

// choose makes a settlement of some of the events and books it as tried.
func (s *storm) choose(rng *rand.Rand, records []*queue.Record) (out queue.Settlement, done, buried []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range records {
		whole := rng.IntN(3) > 0
		for _, e := range r.Events {
			id := s.k.idOf(e.Raw)
			switch n := rng.IntN(10); {
			case !whole && n < 4:
				continue
			case n == 9:
				out.Dead = append(out.Dead, queue.DeadEvent{Seq: r.Seq, Index: e.Index, Reason: "refused", Status: 400})
				s.books[id] |= burying
				buried = append(buried, id)
			default:
				out.Delivered = append(out.Delivered, queue.Span{Seq: r.Seq, First: e.Index, Last: e.Index})
			}
			s.books[id] |= trying
			done = append(done, id)
		}
	}
	return out, done, buried
}

// check compares what is there after the cut with what was promised before it.
func (s *storm) check(promised books, was queue.Ledger) {
	k, l := s.k, s.k.balanced(s.q)
	pending, buried := s.drain(int(l.Pending())), s.dead()
	require.Equal(k, int(l.Dead), len(buried))
	for id := range promised {
		require.NoError(k, s.wrong(promised, id, pending[id], buried[id]))
	}
	for id := range buried {
		require.NoError(k, s.wrong(promised, id, pending[id], buried[id]))
	}
	for name, pair := range map[string][2]uint64{
		"received": {was.Received, l.Received}, "duplicates": {was.Duplicates, l.Duplicates},
		"accepted": {was.Accepted, l.Accepted}, "delivered": {was.Delivered, l.Delivered}, "dead": {was.Dead, l.Dead},
	} {
		require.LessOrEqual(k, pair[0], pair[1], "%s went back", name)
	}
	s.repeatAll(promised)
	s.books.resolve(pending, buried)
}

// wrong says what is wrong with an event of which there are so many pending
// and so many dead.
func (s *storm) wrong(promised books, id string, pending, buried int) error {
	var fault string
	switch was, now := promised[id], s.books[id]; {
	case pending+buried > 1:
		fault = "is there more than once"
	case was.has(settled) && pending > 0:
		fault = "was settled and is pending again"
	case was.has(acked) && !now.has(trying) && !was.has(settled) && pending == 0:
		fault = "was acknowledged and is lost"
	case was.has(dead) && buried == 0:
		fault = "was in the dead letters and is lost"
	case buried > 0 && !was.has(dead) && !now.has(burying):
		fault = "is in the dead letters without a settlement"
	default:
		return nil
	}
	return fmt.Errorf("event %s %s (%d pending, %d dead)", id, fault, pending, buried)
}

// drain fetches all that is pending, counts it by id and gives it back.
func (s *storm) drain(n int) map[string]int {
	pending := map[string]int{}
	if n == 0 {
		s.k.nothingToFetch(s.q)
		return pending
	}
	records := s.k.fetchAll(s.q, n)
	for _, id := range s.k.idsOf(records...) {
		pending[id]++
	}
	s.k.nothingToFetch(s.q)
	s.q.Release(records...)
	return pending
}

// dead counts the dead letters by id.
func (s *storm) dead() map[string]int {
	counts := map[string]int{}
	for after := uint64(0); ; {
		letters, err := s.q.Letters(s.k.ctx, queue.LetterFilter{After: after, Limit: 100})
		require.NoError(s.k, err)
		if len(letters) == 0 {
			return counts
		}
		for _, d := range letters {
			counts[s.k.idOf(d.Event)]++
			require.Greater(s.k, d.Number, after)
			after = d.Number
		}
	}
}

// repeatAll sends everything that was acknowledged once more.
func (s *storm) repeatAll(promised books) {
	ids := slices.Sorted(maps.Keys(promised))
	ids = slices.DeleteFunc(ids, func(id string) bool { return !promised[id].has(acked) })
	if len(ids) == 0 {
		return
	}
	got, err := s.q.Append(context.WithoutCancel(s.k.ctx), s.k.batch(ids...))
	require.NoError(s.k, err)
	require.Equal(s.k, queue.Receipt{Duplicates: len(ids)}, got, "what was acknowledged is a repeat")
}
