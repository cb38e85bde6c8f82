package window

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/zeebo/xxh3"
)

func hash(i int) Hash {
	sum := xxh3.Hash128(fmt.Appendf(nil, "event-%d", i))
	return Hash{sum.Lo, sum.Hi}
}

// The window must agree with the simplest thing that could work, over all of
// its operations and around the place where the low half of a position is zero.
func TestAgreesWithAModel(t *testing.T) {
	for _, first := range []uint64{1, 1<<32 - 700, 3<<32 - 5} {
		rng := rand.New(rand.NewPCG(1, first))
		w := New(500)
		w.first, w.next = first, first
		var model []Hash
		for range 3000 {
			from, had := w.next, len(model)
			for range rng.IntN(20) {
				id := hash(rng.IntN(900))
				gap := uint32(w.next) == 0
				known := slices.Contains(model, id)
				require.Equal(t, known, w.Add(id))
				if !known && gap { // this place is left empty
					model = append(model, Hash{})
				}
				if !known {
					model = append(model, id)
				}
			}
			if rng.IntN(4) == 0 {
				w.Forget(from)
				model = model[:had]
			}
			w.Trim()
			model = model[max(0, len(model)-500):]
			require.Equal(t, len(model), w.Size())
		}
		require.Greater(t, w.next, first+5000)
		require.LessOrEqual(t, len(w.chunks), 2)
	}
}

// What an Add copies at once is a thousandth of the window, so none takes long.
func TestGrowsInSmallSteps(t *testing.T) {
	w := New(1 << 18)
	random := rand.New(rand.NewPCG(1, 2))
	for range 3 << 17 {
		w.Add(Hash{random.Uint64(), random.Uint64()})
		w.Trim()
	}
	require.Equal(t, 1<<18, w.Size())
	require.LessOrEqual(t, len(w.chunks), 1<<18/chunkSize+1)
	most := 0
	for i := range w.table {
		most = max(most, len(w.table[i].entries))
	}
	assert.LessOrEqual(t, most, 4<<18/len(w.table), "entries for 256 ids, of which a part has some more or fewer")
}

// Batches of 100 new ids in a full window.
func BenchmarkAdd(b *testing.B) {
	w := New(1_000_000)
	random := rand.New(rand.NewPCG(1, 2))
	ids := make([]Hash, 100)
	batch := func() {
		for i := range ids {
			ids[i] = Hash{random.Uint64(), random.Uint64()}
			w.Look(ids[i])
		}
		for _, id := range ids {
			w.Add(id)
		}
		w.Trim()
	}
	for range 11_000 {
		batch()
	}
	for b.Loop() {
		batch()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/id")
}
