package queue

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func hash(i int) Hash {
	return HashEvent(nil, fmt.Appendf(nil, "event-%d", i))
}

func TestAddKnowsRepeats(t *testing.T) {
	w := newWindow(10)
	require.False(t, w.add(hash(1)))
	require.True(t, w.add(hash(1)))
	require.False(t, w.add(hash(2)))
	require.Equal(t, 2, w.size())
}

func TestWindowOfNone(t *testing.T) {
	w := newWindow(0)
	w.trim()
	require.False(t, w.add(hash(1)))
	require.True(t, w.add(hash(1)))
	w.trim()
	require.Zero(t, w.size())
	require.False(t, w.add(hash(1)))
}

func TestZeroHashIsNeverARepeat(t *testing.T) {
	w := newWindow(10)
	for range 3 {
		require.False(t, w.add(Hash{}))
	}
	require.Zero(t, w.size())
}

func TestTrimForgetsTheOldest(t *testing.T) {
	w := newWindow(1000)
	for i := range 5000 {
		require.False(t, w.add(hash(i)))
	}
	w.trim()
	require.Equal(t, 1000, w.size())
	for i := 4000; i < 5000; i++ {
		require.True(t, w.add(hash(i)), i)
	}
	require.False(t, w.add(hash(3999)))
}

func TestForgetLetsIdsComeAgain(t *testing.T) {
	for _, n := range []int{3, 1000, 3000} {
		w := newWindow(10_000)
		for i := range 10 {
			w.add(hash(i))
		}
		from := w.next
		for i := 10; i < 10+n; i++ {
			w.add(hash(i))
		}
		w.forget(from)
		require.Equal(t, 10, w.size())
		for i := range 10 + n {
			require.Equal(t, i < 10, w.add(hash(i)))
		}
	}
}

// The window must agree with the simplest thing that could work, over all of
// its operations and around the place where the low half of a position is zero.
func TestAgreesWithAModel(t *testing.T) {
	for _, first := range []uint64{1, 1<<32 - 700, 3<<32 - 5} {
		rng := rand.New(rand.NewPCG(1, first))
		w := newWindow(500)
		w.first, w.next = first, first
		var model []Hash
		for range 3000 {
			from, had := w.next, len(model)
			for range rng.IntN(20) {
				id := hash(rng.IntN(900))
				gap := uint32(w.next) == 0
				known := slices.Contains(model, id)
				require.Equal(t, known, w.add(id))
				if !known && gap { // this place is left empty
					model = append(model, Hash{})
				}
				if !known {
					model = append(model, id)
				}
			}
			if rng.IntN(4) == 0 {
				w.forget(from)
				model = model[:had]
			}
			w.trim()
			model = model[max(0, len(model)-500):]
			require.Equal(t, len(model), w.size())
		}
		require.Greater(t, w.next, first+5000)
		require.LessOrEqual(t, len(w.ring), 1024)
	}
}

func BenchmarkAddFull(b *testing.B) {
	w := newWindow(DefaultWindow)
	rng := rand.New(rand.NewPCG(1, 2))
	for range DefaultWindow {
		w.add(Hash{rng.Uint64(), rng.Uint64()})
	}
	b.ReportAllocs()
	b.ResetTimer()
	batch := make([]Hash, 100)
	for range b.N / len(batch) {
		for i := range batch {
			batch[i] = Hash{rng.Uint64(), rng.Uint64()}
			w.look(batch[i])
		}
		for _, id := range batch {
			w.add(id)
		}
		w.trim()
	}
}

func BenchmarkFill(b *testing.B) {
	b.ReportAllocs()
	for range b.N {
		w := newWindow(DefaultWindow)
		rng := rand.New(rand.NewPCG(1, 2))
		for range DefaultWindow {
			w.add(Hash{rng.Uint64(), rng.Uint64()})
		}
	}
}
