package window

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

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
		require.LessOrEqual(t, len(w.ring), 1024)
	}
}
