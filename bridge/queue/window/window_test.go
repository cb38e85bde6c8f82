package window

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func hash(i int) queue.Hash {
	return queue.HashID(fmt.Appendf(nil, "event-%d", i))
}

func TestAddKnowsRepeats(t *testing.T) {
	w := New(10)
	pos, repeat := w.Add(hash(1))
	require.False(t, repeat)
	require.Equal(t, uint64(1), pos)
	pos, repeat = w.Add(hash(1))
	require.True(t, repeat)
	require.Equal(t, uint64(1), pos)
	pos, repeat = w.Add(hash(2))
	require.False(t, repeat)
	require.Equal(t, uint64(2), pos)
	require.Equal(t, 2, w.Len())
}

func TestZeroWindowWorks(t *testing.T) {
	var w Window
	w.Trim()
	w.Forget(0, 100)
	require.Equal(t, w.First(), w.Next())
	_, repeat := w.Add(hash(1))
	require.False(t, repeat)
	_, repeat = w.Add(hash(1))
	require.True(t, repeat)
	w.Trim()
	require.Zero(t, w.Len())
	_, repeat = w.Add(hash(1))
	require.False(t, repeat)
}

func TestZeroHashIsNeverARepeat(t *testing.T) {
	w := New(10)
	for range 3 {
		pos, repeat := w.Add(queue.Hash{})
		require.False(t, repeat)
		require.Zero(t, pos)
	}
	require.Zero(t, w.Len())
}

func TestTrimForgetsTheOldest(t *testing.T) {
	w := New(1000)
	for i := range 5000 {
		_, repeat := w.Add(hash(i))
		require.False(t, repeat)
	}
	w.Trim()
	require.Equal(t, 1000, w.Len())
	require.Equal(t, uint64(4001), w.First())
	for i := 4000; i < 5000; i++ {
		_, repeat := w.Add(hash(i))
		require.True(t, repeat, i)
	}
	_, repeat := w.Add(hash(3999))
	require.False(t, repeat)
}

func TestForgetLetsIdsComeAgain(t *testing.T) {
	for _, n := range []int{3, chunkSize - 1, chunkSize, 3 * chunkSize} {
		w := New(10 * chunkSize)
		for i := range 10 {
			w.Add(hash(i))
		}
		from := w.Next()
		for i := 10; i < 10+n; i++ {
			w.Add(hash(i))
		}
		w.Forget(from, w.Next())
		require.Equal(t, 10, w.Len())
		require.Equal(t, from, w.Next())
		for i := range 10 {
			_, repeat := w.Add(hash(i))
			require.True(t, repeat)
		}
		for i := 10; i < 10+n; i++ {
			_, repeat := w.Add(hash(i))
			require.False(t, repeat)
		}
	}
}

func TestForgetInTheMiddle(t *testing.T) {
	w := New(100)
	for i := range 10 {
		w.Add(hash(i))
	}
	w.Forget(3, 6) // events 2, 3 and 4
	require.Equal(t, 7, w.Len())
	require.Equal(t, uint64(11), w.Next())
	for i := range 10 {
		_, repeat := w.Add(hash(i))
		require.Equal(t, i < 2 || i > 4, repeat, i)
	}
}

// The window must agree with the simplest thing that could work, over all of
// its operations and around the place where the low half of a position is zero.
func TestAgreesWithAModel(t *testing.T) {
	for _, first := range []uint64{1, 1<<32 - 700, 3<<32 - 5} {
		rng := rand.New(rand.NewPCG(1, first))
		w := New(500)
		w.first, w.next = first, first
		model := map[queue.Hash]uint64{}
		for range 3000 {
			from := w.Next()
			for range rng.IntN(20) {
				id := hash(rng.IntN(900))
				want, known := model[id]
				pos, repeat := w.Add(id)
				require.Equal(t, known, repeat)
				if known {
					require.Equal(t, want, pos)
				}
				model[id] = pos
			}
			if rng.IntN(4) == 0 {
				to := w.Next()
				w.Forget(from, to)
				for id, pos := range model {
					if pos >= from && pos < to {
						delete(model, id)
					}
				}
			}
			w.Trim()
			for id, pos := range model {
				if pos < w.First() {
					delete(model, id)
				}
			}
			require.Equal(t, len(model), w.Len())
			require.LessOrEqual(t, w.Len(), 500)
		}
		require.Greater(t, w.Next(), first+5000)
		require.LessOrEqual(t, len(w.chunks), 2)
	}
}

func BenchmarkAddFull(b *testing.B) {
	w := New(queue.DefaultWindow)
	rng := rand.New(rand.NewPCG(1, 2))
	for range queue.DefaultWindow {
		w.Add(queue.Hash{rng.Uint64(), rng.Uint64()})
	}
	b.ReportAllocs()
	b.ResetTimer()
	batch := make([]queue.Hash, 100)
	for range b.N / len(batch) {
		for i := range batch {
			batch[i] = queue.Hash{rng.Uint64(), rng.Uint64()}
			w.Look(batch[i])
		}
		for _, id := range batch {
			w.Add(id)
		}
		w.Trim()
	}
}

func BenchmarkFill(b *testing.B) {
	b.ReportAllocs()
	for range b.N {
		w := New(queue.DefaultWindow)
		rng := rand.New(rand.NewPCG(1, 2))
		for range queue.DefaultWindow {
			w.Add(queue.Hash{rng.Uint64(), rng.Uint64()})
		}
	}
}
