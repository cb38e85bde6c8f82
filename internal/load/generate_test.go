package load

import (
	"encoding/json"
	"math"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/journey/journeytest"
	"github.com/currentsbridge/currentsbridge/schemas"
)

func decodeBatch(t *testing.T, body []byte) (events []journeytest.Event) {
	var batch struct{ Events []json.RawMessage }
	require.NoError(t, json.Unmarshal(body, &batch))
	for _, raw := range batch.Events {
		events = append(events, journeytest.Decode(t, raw))
	}
	return events
}

func TestBatchesAreValidAndHoldOneType(t *testing.T) {
	g, err := NewGenerator(nil, 7, nil)
	require.NoError(t, err)
	require.Len(t, g.Types(), 102)
	validator, err := schemas.NewValidator()
	require.NoError(t, err)
	at := time.Unix(1_800_000_000, 0)
	ids, users := map[string]bool{}, map[string]bool{}
	for n := range uint64(2 * 102) {
		events := decodeBatch(t, g.Append(nil, n, n*10, 10, at))
		require.Len(t, events, 10)
		for _, e := range events {
			require.Equal(t, g.Type(n), e.Type)
			require.False(t, ids[e.ID], "id %s comes twice", e.ID)
			ids[e.ID] = true
			users[e.Text("user_id")] = true
			require.LessOrEqual(t, e.Time, at.Unix())
			require.Greater(t, e.Time, at.Unix()-20)
			verdict := validator.Event(e.Raw)
			require.True(t, verdict.Valid && len(verdict.Drift) == 0, "%s: %v", e.Raw, verdict)
		}
	}
	require.Len(t, ids, 2*102*10)
	require.Greater(t, len(users), 800, "many people")
}

func TestSeedDecides(t *testing.T) {
	make := func(seed uint64) string {
		g, err := NewGenerator(nil, seed, []string{"users.canvas.*"})
		require.NoError(t, err)
		return string(g.Append(nil, 3, 300, 100, time.Unix(1_800_000_000, 0)))
	}
	require.Equal(t, make(5), make(5))
	require.NotEqual(t, make(5), make(6))
	_, err := NewGenerator(nil, 1, []string{"users.nothing.*"})
	require.ErrorContains(t, err, "users.nothing.*")
}

// BenchmarkGenerate makes a batch of 100 events, of all types in turn, in an op.
func BenchmarkGenerate(b *testing.B) {
	g, err := NewGenerator(nil, 1, nil)
	if err != nil {
		b.Fatal(err)
	}
	var buf []byte
	at := time.Unix(1_800_000_000, 0)
	b.ReportAllocs()
	for n := uint64(0); b.Loop(); n++ {
		buf = g.Append(buf[:0], n, n*100, 100, at)
	}
}

func TestIDsAreUniqueAndReversible(t *testing.T) {
	v4 := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	const n = 10_000
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

func TestForeignIDsAreRecognized(t *testing.T) {
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
