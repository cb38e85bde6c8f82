package load

import (
	"math"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIDsAreUniqueAndKnownAgain(t *testing.T) {
	v4 := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	const n = 100_000
	seen := make(map[string]bool, 3*n)
	for _, seed := range []uint64{1, 2, math.MaxUint64} {
		ids := newNumbering(seed)
		for i := range uint64(n) {
			id := ids.append(nil, i)
			require.False(t, seen[string(id)], "number %d of seed %d comes twice", i, seed)
			seen[string(id)] = true
			if i%1000 == 0 {
				require.Regexp(t, v4, string(id))
			}
			number, ours := ids.numberOf(id, n)
			require.True(t, ours)
			require.Equal(t, i, number)
		}
	}
}

// The lower half alone is a permutation, so ids of one run cannot meet.
func TestPermutation(t *testing.T) {
	ids := newNumbering(42)
	for _, n := range []uint64{0, 1, 2, 1 << 31, 1<<31 - 1, 1 << 40, 1<<62 - 1} {
		require.Equal(t, n, ids.restore(ids.permute(n)))
		require.LessOrEqual(t, ids.permute(n), uint64(mask62))
	}
}

func TestForeignIDsAreNotTaken(t *testing.T) {
	ids, other := newNumbering(1), newNumbering(2)
	for _, id := range []string{
		"", "x", string(other.append(nil, 5)), string(ids.append(nil, 100)),
		"00000000-0000-4000-8000-000000000000", string(ids.append(nil, 5))[:35] + "G",
	} {
		_, ours := ids.numberOf([]byte(id), 100)
		require.False(t, ours, id)
	}
	changed := ids.append(nil, 5)
	changed[0] ^= 1 // in the upper half, which only checks
	_, ours := ids.numberOf(changed, 100)
	require.False(t, ours)
}
