package intake

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSharesOfAPot(t *testing.T) {
	p := &pot{limit: 12, least: 1}
	a, b, c := p.add(), p.add(), p.add()
	takeAll := func(s *share) (n int64) {
		for s.take(1) {
			n++
		}
		return n
	}
	p.divide([]*share{a, b, c}) // 2 each, 6 for whoever comes first
	require.EqualValues(t, 8, takeAll(a))
	require.EqualValues(t, 2, takeAll(b))
	require.EqualValues(t, 2, takeAll(c))
	require.EqualValues(t, 12, p.taken())
	a.give(1)
	require.True(t, b.take(1), "what one gives back of the common half, another may take")
	require.False(t, a.take(1))

	// c is gone, but what it has under way may go on.
	p.divide([]*share{a, b}) // 3 each, 6 for whoever comes first; a has 7, b has 3
	require.EqualValues(t, 2, takeAll(a))
	require.False(t, b.take(1))
	c.give(1)
	require.EqualValues(t, 1, takeAll(c))
	c.give(2)
	require.False(t, a.take(1))

	p.divide([]*share{b}) // alone it has all, though a still has some
	require.EqualValues(t, 9, takeAll(b))
	a.give(9)
	b.give(12)
	require.EqualValues(t, 12, takeAll(b))
	b.give(12)
	require.Zero(t, p.taken())
	require.Zero(t, p.beyond)
}

// Where there is less than the connectors there are, each still has the least.
func TestEachHasTheLeast(t *testing.T) {
	p := &pot{limit: 2, least: 1}
	var all []*share
	for range 5 {
		all = append(all, p.add())
	}
	p.divide(all)
	for _, s := range all {
		require.True(t, s.take(1))
		require.False(t, s.take(1))
	}
}

func TestWaitingForAShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pot{limit: 4, least: 1}
		a, b := p.add(), p.add()
		p.divide([]*share{a, b}) // 1 each, 2 for whoever comes first
		for range 3 {
			require.True(t, a.wait(0))
		}
		began := time.Now()
		require.False(t, a.wait(time.Second))
		require.Equal(t, time.Second, time.Since(began))

		var came sync.WaitGroup
		order := make(chan int, 2)
		for i := range 2 {
			came.Go(func() {
				require.True(t, a.wait(time.Hour))
				order <- i
			})
			synctest.Wait()
		}
		began = time.Now()
		require.True(t, b.wait(time.Hour), "a's line does not hold up b")
		require.Zero(t, time.Since(began))
		a.give(1)
		synctest.Wait()
		require.Equal(t, 0, <-order)
		b.give(1)
		synctest.Wait()
		require.Empty(t, order, "b's own is not for a")
		a.give(1)
		came.Wait()
		require.Equal(t, 1, <-order)
		a.give(3)
		require.Zero(t, p.taken())
		require.Empty(t, p.waiting)
	})
}

func TestSharesAtRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	p := &pot{limit: 20, least: 1}
	all := []*share{p.add(), p.add(), p.add(), p.add()}
	p.divide(all)
	for range 20_000 {
		s, n := all[r.IntN(len(all))], 1+r.Int64N(5)
		switch r.IntN(9) {
		case 0, 1, 2, 3:
			before := s.used
			if !s.take(n) {
				require.Greater(t, before+n, s.own, "own is always there")
			}
		case 4, 5, 6, 7:
			s.give(min(n, s.used))
		default:
			p.divide(all[:1+r.IntN(len(all))])
		}
		var beyond int64
		for _, s := range all {
			require.GreaterOrEqual(t, s.used, int64(0))
			beyond += max(0, s.used-s.own)
		}
		require.Equal(t, beyond, p.beyond)
	}
}
