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
	k := newKit(t, newSite(t, queue.Options{}.WithUpkeepEvery(time.Millisecond)).site())
	b, rng, began, total := newBooks(), rand.New(rand.NewPCG(*cutsSeed, 2)), time.Now(), 0
	for cut := range *cuts {
		percent := [...]int{0, 0, rng.IntN(100), 100}[rng.IntN(4)]
		newStorm(k, b, fmt.Sprint("storm-", cut/cutsOfOne), rng.Uint64N(1<<40), percent).run()
		if cut%cutsOfOne == cutsOfOne-1 || cut == *cuts-1 {
			total += len(b.acked)
			t.Logf("%d power cuts in %s: %d events acknowledged, none lost", cut+1, time.Since(began).Round(time.Second), total)
			b = newBooks()
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
	books *books
	after int           // acknowledgements until the cut
	cut   chan struct{} // closed when there were so many
	end   func()        // closes cut
}

// books hold ids. What is tried may or may not have happened; what is
// acknowledged must have. They are kept over all power cuts of a store.
type books struct {
	acked   map[string]bool // Append has returned
	trying  map[string]bool // Settle was called
	settled map[string]bool // Settle has returned
	burying map[string]bool // of trying: to the dead letters
	dead    map[string]bool // of settled: in the dead letters
	ledger  queue.Ledger    // as it was just before the cut
}

func newBooks() *books {
	return &books{acked: map[string]bool{}, trying: map[string]bool{}, settled: map[string]bool{},
		burying: map[string]bool{}, dead: map[string]bool{}}
}

func (b *books) clone() *books {
	return &books{maps.Clone(b.acked), maps.Clone(b.trying), maps.Clone(b.settled),
		maps.Clone(b.burying), maps.Clone(b.dead), b.ledger}
}

// resolve notes what the cut has decided.
func (b *books) resolve(pending, dead map[string]int) {
	for id := range pending {
		b.acked[id] = true
		delete(b.trying, id)
		delete(b.settled, id)
		delete(b.burying, id)
	}
	for id := range b.trying {
		b.settled[id] = true
	}
	for id := range dead {
		b.dead[id] = true
	}
}

const (
	stormWindow  = 1 << 20
	stormSenders = 4
	stormWorkers = 2
)

func newStorm(k *kit, b *books, name string, seed uint64, percent int) *storm {
	s := &storm{
		k: k, books: b, name: name, seed: seed, percent: percent, cut: make(chan struct{}),
		after: 5 + int(seed*7919%120),
	}
	s.end = sync.OnceFunc(func() { close(s.cut) })
	s.open()
	return s
}

func (s *storm) open() {
	if s.k.store == nil {
		store, err := s.k.site.Open()
		require.NoError(s.k, err)
		s.k.store = store
	}
	q, err := s.k.store.Queue(s.k.ctx, s.name, stormWindow)
	require.NoError(s.k, err)
	s.q = q
}

func (s *storm) run() {
	var work sync.WaitGroup
	errs := make(chan error, stormSenders+stormWorkers)
	do := func(err error) {
		if errs <- err; err != nil {
			s.end() // no goroutine may be left that comes to the cut
		}
	}
	for i := range stormSenders {
		work.Go(func() { do(s.send(i)) })
	}
	for i := range stormWorkers {
		work.Go(func() { do(s.work(i)) })
	}
	<-s.cut
	s.mu.Lock()
	s.books.ledger = s.q.Ledger()
	promised := s.books.clone()
	s.mu.Unlock()
	s.k.store = nil
	s.k.site.Crash(s.percent, s.seed)
	work.Wait()
	close(errs)
	for err := range errs {
		require.NoError(s.k, err)
	}
	// What was acknowledged after the cut was so by a machine that was off.
	s.books.acked, s.books.settled, s.books.dead = promised.acked, promised.settled, promised.dead
	s.open()
	s.check(promised)
}

// over says whether an error means that the power was cut.
func over(err error) bool {
	return errors.Is(err, queue.ErrClosed) || errors.Is(err, queue.ErrFailed)
}

// send appends batches, some events of which it has sent before.
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
		if over(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if got.Accepted != fresh || got.Duplicates != len(ids)-fresh {
			return fmt.Errorf("receipt %+v for %d new events and %d repeats", got, fresh, len(ids)-fresh)
		}
		mine = append(mine, ids[:fresh]...)
		s.mu.Lock()
		for _, id := range ids {
			s.books.acked[id] = true
		}
		s.acknowledged()
		s.mu.Unlock()
	}
}

// acknowledged counts, and brings about the cut. mu must be held.
func (s *storm) acknowledged() {
	if s.after--; s.after == 0 {
		s.end()
	}
}

// work settles some of what it fetches.
func (s *storm) work(worker int) error {
	rng := rand.New(rand.NewPCG(s.seed, uint64(100+worker)))
	for {
		records, err := s.q.Claim(s.k.ctx, queue.Limit{Events: 1 + rng.IntN(40), Bytes: 1 << 20})
		if over(err) {
			return nil
		}
		if err != nil {
			return err
		}
		settlement, settled, dead := s.choose(rng, records)
		err = s.q.Settle(s.k.ctx, settlement)
		s.q.Release(records...)
		if over(err) {
			return nil
		}
		if err != nil {
			return err
		}
		s.mu.Lock()
		for _, id := range settled {
			s.books.settled[id] = true
		}
		for _, id := range dead {
			s.books.dead[id] = true
		}
		s.acknowledged()
		s.mu.Unlock()
	}
}

// choose makes a settlement of some of the events and books it as tried.
func (s *storm) choose(rng *rand.Rand, records []*queue.Record) (out queue.Settlement, settled, dead []string) {
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
				s.books.burying[id] = true
				dead = append(dead, id)
			default:
				out.Delivered = append(out.Delivered, queue.Span{Seq: r.Seq, First: e.Index, Last: e.Index})
			}
			s.books.trying[id] = true
			settled = append(settled, id)
		}
	}
	return out, settled, dead
}

// check compares what is there after the cut with what was promised before it.
func (s *storm) check(promised *books) {
	k, l := s.k, s.k.balanced(s.q)
	pending, dead := s.drain(int(l.Pending())), s.dead()
	require.Equal(k, int(l.Dead), len(dead))
	for id := range promised.acked {
		require.NoError(k, s.wrong(promised, id, pending[id], dead[id]))
	}
	for id := range dead {
		require.NoError(k, s.wrong(promised, id, pending[id], dead[id]))
	}
	was := promised.ledger
	for name, pair := range map[string][2]uint64{
		"received": {was.Received, l.Received}, "duplicates": {was.Duplicates, l.Duplicates},
		"accepted": {was.Accepted, l.Accepted}, "delivered": {was.Delivered, l.Delivered}, "dead": {was.Dead, l.Dead},
	} {
		require.LessOrEqual(k, pair[0], pair[1], "%s went back", name)
	}
	s.repeatAll(promised)
	s.books.resolve(pending, dead)
}

// wrong says what is wrong with an event of which there are so many pending
// and so many dead.
func (s *storm) wrong(promised *books, id string, pending, dead int) error {
	var fault string
	switch {
	case pending+dead > 1:
		fault = "is there more than once"
	case promised.settled[id] && pending > 0:
		fault = "was settled and is pending again"
	case promised.acked[id] && !s.books.trying[id] && !promised.settled[id] && pending == 0:
		fault = "was acknowledged and is lost"
	case promised.dead[id] && dead == 0:
		fault = "was in the dead letters and is lost"
	case dead > 0 && !promised.dead[id] && !s.books.burying[id]:
		fault = "is in the dead letters without a settlement"
	default:
		return nil
	}
	return fmt.Errorf("event %s %s (%d pending, %d dead)", id, fault, pending, dead)
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
func (s *storm) repeatAll(promised *books) {
	ids := slices.Sorted(maps.Keys(promised.acked))
	if len(ids) == 0 {
		return
	}
	got, err := s.q.Append(context.WithoutCancel(s.k.ctx), s.k.batch(ids...))
	require.NoError(s.k, err)
	require.Equal(s.k, queue.Receipt{Duplicates: len(ids)}, got, "what was acknowledged is a repeat")
}
