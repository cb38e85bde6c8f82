package queue

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func hash(i int) Hash {
	return HashEvent(nil, fmt.Appendf(nil, "event-%d", i))
}

func TestAddKnowsRepeats(t *testing.T) {
	w := newWindow(10)
	pos, repeat := w.add(hash(1))
	require.False(t, repeat)
	require.Equal(t, uint64(1), pos)
	pos, repeat = w.add(hash(1))
	require.True(t, repeat)
	require.Equal(t, uint64(1), pos)
	pos, repeat = w.add(hash(2))
	require.False(t, repeat)
	require.Equal(t, uint64(2), pos)
	require.Equal(t, 2, w.size())
}

func TestZeroWindowWorks(t *testing.T) {
	var w window
	w.trim()
	w.forget(0, 100)
	require.Equal(t, w.firstPos(), w.nextPos())
	_, repeat := w.add(hash(1))
	require.False(t, repeat)
	_, repeat = w.add(hash(1))
	require.True(t, repeat)
	w.trim()
	require.Zero(t, w.size())
	_, repeat = w.add(hash(1))
	require.False(t, repeat)
}

func TestZeroHashIsNeverARepeat(t *testing.T) {
	w := newWindow(10)
	for range 3 {
		pos, repeat := w.add(Hash{})
		require.False(t, repeat)
		require.Zero(t, pos)
	}
	require.Zero(t, w.size())
}

func TestTrimForgetsTheOldest(t *testing.T) {
	w := newWindow(1000)
	for i := range 5000 {
		_, repeat := w.add(hash(i))
		require.False(t, repeat)
	}
	w.trim()
	require.Equal(t, 1000, w.size())
	require.Equal(t, uint64(4001), w.firstPos())
	for i := 4000; i < 5000; i++ {
		_, repeat := w.add(hash(i))
		require.True(t, repeat, i)
	}
	_, repeat := w.add(hash(3999))
	require.False(t, repeat)
}

func TestForgetLetsIdsComeAgain(t *testing.T) {
	for _, n := range []int{3, chunkSize - 1, chunkSize, 3 * chunkSize} {
		w := newWindow(10 * chunkSize)
		for i := range 10 {
			w.add(hash(i))
		}
		from := w.nextPos()
		for i := 10; i < 10+n; i++ {
			w.add(hash(i))
		}
		w.forget(from, w.nextPos())
		require.Equal(t, 10, w.size())
		require.Equal(t, from, w.nextPos())
		for i := range 10 {
			_, repeat := w.add(hash(i))
			require.True(t, repeat)
		}
		for i := 10; i < 10+n; i++ {
			_, repeat := w.add(hash(i))
			require.False(t, repeat)
		}
	}
}

func TestForgetInTheMiddle(t *testing.T) {
	w := newWindow(100)
	for i := range 10 {
		w.add(hash(i))
	}
	w.forget(3, 6) // events 2, 3 and 4
	require.Equal(t, 7, w.size())
	require.Equal(t, uint64(11), w.nextPos())
	for i := range 10 {
		_, repeat := w.add(hash(i))
		require.Equal(t, i < 2 || i > 4, repeat, i)
	}
}

// The window must agree with the simplest thing that could work, over all of
// its operations and around the place where the low half of a position is zero.
func TestAgreesWithAModel(t *testing.T) {
	for _, first := range []uint64{1, 1<<32 - 700, 3<<32 - 5} {
		rng := rand.New(rand.NewPCG(1, first))
		w := newWindow(500)
		w.first, w.next = first, first
		model := map[Hash]uint64{}
		for range 3000 {
			from := w.nextPos()
			for range rng.IntN(20) {
				id := hash(rng.IntN(900))
				want, known := model[id]
				pos, repeat := w.add(id)
				require.Equal(t, known, repeat)
				if known {
					require.Equal(t, want, pos)
				}
				model[id] = pos
			}
			if rng.IntN(4) == 0 {
				to := w.nextPos()
				w.forget(from, to)
				for id, pos := range model {
					if pos >= from && pos < to {
						delete(model, id)
					}
				}
			}
			w.trim()
			for id, pos := range model {
				if pos < w.firstPos() {
					delete(model, id)
				}
			}
			require.Equal(t, len(model), w.size())
			require.LessOrEqual(t, w.size(), 500)
		}
		require.Greater(t, w.nextPos(), first+5000)
		require.LessOrEqual(t, len(w.chunks), 2)
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
