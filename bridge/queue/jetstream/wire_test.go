package jetstream

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

func someEntries() []entry {
	at := time.Unix(1_700_000_000, 5)
	claims := []claim{
		{seq: 5, events: 9, runs: []run{{first: 2, count: 3, fate: queue.Filtered}, {first: 0, count: 1, fate: queue.Dead, number: 8}}},
		{seq: 3, events: 1, runs: []run{{first: 0, count: 1, fate: queue.Delivered}}},
	}
	return []entry{
		{kind: kindRecord, writer: 1 << 63, nonce: 3, received: at, events: 9, duplicates: 2, size: 77, claims: claims[:1]},
		{kind: kindRecord, received: at, events: 1, number: 9},
		{kind: kindRewritten, number: 4, received: at, events: 3},
		{kind: kindCounts, duplicates: 5},
		{kind: kindOutcome, writer: 2, claims: claims},
		{kind: kindLetter, number: 1, received: at, size: 100},
		{kind: kindPurged, number: 1}, {kind: kindRevived, number: 1},
		{kind: kindSwept, numbers: []uint64{9, 3, 1 << 60}},
		{kind: kindOrder, replay: wire.Replay{End: 9, Replay: queue.Replay{Number: 2, Next: 1, StartedAt: at, Replayed: 4,
			Order: queue.ReplayOrder{From: at, Types: []string{"a.*", ""}, Rate: 0.5}}}},
		{kind: kindProgress, received: at, progress: queue.ReplayProgress{Number: 1, Next: 2, Replayed: 3, Refused: 4, Skipped: 5, End: true}},
		{kind: kindOwner, writer: 1, number: 2}, {kind: kindTotals, number: 7}, {kind: kindSegment}, {kind: kindCut, number: 3, upTo: 2},
	}
}

func TestEntries(t *testing.T) {
	for _, e := range someEntries() {
		got, err := decode(e.encode())
		require.NoError(t, err, "%+v", e)
		require.Equal(t, e, got)
	}
}

func FuzzEntry(f *testing.F) {
	for _, e := range someEntries() {
		f.Add(e.encode())
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := decode(text)
		if err != nil {
			require.ErrorIs(t, err, queue.ErrDamaged)
			return
		}
		again, err := decode(e.encode())
		require.NoError(t, err)
		require.Equal(t, e.encode(), again.encode())
		fold := newFold(1, time.Now)
		fold.apply(1, entry{kind: kindRecord, events: 3})
		fold.apply(2, e) // whatever it says, it must not end the bridge
		fold.view()
	})
}

func FuzzTotals(f *testing.F) {
	f.Add(randomFold(1, 300).totals.encode())
	s := randomFold(2, 300).side
	f.Add(s.encode(s.fresh))
	f.Fuzz(func(t *testing.T, value []byte) {
		value = slices.Clip(value) // what lies behind it is not ours to read
		if totals, err := parseTotals(value); err == nil {
			again, err := parseTotals(totals.encode())
			require.NoError(t, err)
			require.Equal(t, totals.encode(), again.encode())
		}
		s := newSide()
		_ = s.read(value)
	})
}

func FuzzLetter(f *testing.F) {
	f.Add(appendLetter(nil, queue.DeadLetter{ReceivedAt: time.Now(), Status: 400, Reason: "refused", Event: noise("x", 100)}))
	f.Add(appendLetter(nil, queue.DeadLetter{Attempts: 3, Answer: "no", Event: make([]byte, 100)}))
	f.Fuzz(func(t *testing.T, value []byte) {
		value = slices.Clip(value) // what lies behind it is not ours to read
		d, err := parseLetter(1, value)
		if err != nil {
			require.ErrorIs(t, err, queue.ErrDamaged)
			return
		}
		again, err := parseLetter(1, appendLetter(nil, d))
		require.NoError(t, err)
		require.Equal(t, d, again)
	})
}

func FuzzRecord(f *testing.F) {
	b := batchOf(30, "1", "2", "3")
	p := portion{items: []int{0, 2}}
	body, err := p.encode(b, false)
	require.NoError(f, err)
	f.Add(body)
	f.Fuzz(func(t *testing.T, value []byte) {
		value = slices.Clip(value) // what lies behind it is not ours to read
		l, err := newLease(1, value)
		if err != nil {
			require.ErrorIs(t, err, queue.ErrDamaged)
			return
		}
		require.True(t, l.refresh(newFold(1, time.Now)) == false, "of nothing is anything pending")
		_ = l.record("x")
	})
}

// randomFold folds so many random messages.
func randomFold(seed uint64, n int) *fold {
	f := newFold(1, func() time.Time { return time.Unix(1_700_000_000, 0) })
	for seq := range uint64(n) {
		f.apply(seq+1, randomEntry(rand.New(rand.NewPCG(seed, seq)), f, seq))
	}
	return f
}

// randomEntry makes a message that bridges may write after what f knows, also
// such that contradict each other.
func randomEntry(rng *rand.Rand, f *fold, seq uint64) entry {
	fate := func() queue.Fate { return queue.Delivered + queue.Fate(rng.IntN(3)) }
	runs := func(events int) []run {
		first := rng.IntN(events)
		return []run{{first: first, count: 1 + rng.IntN(events-first), fate: fate(), number: f.nextDead - min(f.nextDead-1, uint64(rng.IntN(3)/2))}}
	}
	events := 1 + rng.IntN(70)
	switch rng.IntN(10) {
	case 0, 1, 2, 3:
		e := entry{kind: kindRecord, received: time.Unix(1_600_000_000+int64(seq), 0), events: events, duplicates: rng.IntN(3), size: 100 + rng.IntN(100)}
		if rng.IntN(3) == 0 {
			e.claims = []claim{{events: events, runs: runs(events)}}
		}
		return e
	case 4:
		return entry{kind: kindCounts, duplicates: rng.IntN(9)}
	case 5:
		if n := f.nextDead - 1; n > 0 && f.ledger.Dead > 0 {
			if _, gone := f.gone[n]; !gone {
				return entry{kind: kindPurged, number: n, size: 10}
			}
		}
		return entry{kind: kindSwept, numbers: []uint64{uint64(rng.IntN(5))}}
	}
	var claims []claim
	for range 1 + rng.IntN(4) {
		if len(f.pending.items) == 0 {
			break
		}
		it := f.pending.items[rng.IntN(min(len(f.pending.items), 9))]
		claims = append(claims, claim{seq: it.seq, events: int(it.events), runs: runs(int(it.events))})
	}
	return entry{kind: kindOutcome, claims: claims}
}

// Wherever a bridge begins with stored totals, it comes to what one comes to
// that has read everything, and the ledger balances after every message.
func TestTotalsFromAnyPlace(t *testing.T) {
	const n = 400
	for seed := range uint64(8) {
		whole := newFold(1, time.Now)
		var stored [][]byte
		var places []uint64
		var entries []entry
		rng := rand.New(rand.NewPCG(seed, 99))
		for i := range uint64(n) {
			e := randomEntry(rand.New(rand.NewPCG(seed, i)), whole, i)
			entries = append(entries, e)
			whole.apply(i+1, e)
			require.NoError(t, balance(whole.view()))
			require.Equal(t, whole.view().Pending() == 0, whole.view().OldestPending.IsZero())
			if rng.IntN(20) == 0 {
				stored, places = append(stored, whole.totals.encode()), append(places, i+1)
			}
		}
		for i, value := range stored {
			totals, err := parseTotals(value)
			require.NoError(t, err)
			from, seq := totals.touched, places[i]
			f := newFold(1, time.Now)
			require.True(t, f.adopt(totals, newSide(), 0))
			for at := from; at < n; at++ {
				if e := entries[at]; at >= seq || e.kind == kindRecord { // other messages are deleted
					f.apply(at+1, e)
				}
			}
			require.Equal(t, whole.view(), f.view(), "seed %d, from %d", seed, seq)
			require.Equal(t, whole.totals.encode(), f.totals.encode())
			// One that was behind takes the totals over and goes on.
			late := newFold(1, time.Now)
			behind := uint64(rng.IntN(int(seq)))
			for at := range behind {
				late.apply(at+1, entries[at])
			}
			totals, err = parseTotals(value)
			require.NoError(t, err)
			require.True(t, late.adopt(totals, newSide(), 0) || behind >= seq)
			for at := behind; at < n; at++ {
				if e := entries[at]; at >= seq || e.kind == kindRecord {
					late.apply(at+1, e)
				}
			}
			require.Equal(t, whole.totals.encode(), late.totals.encode(), "seed %d, from %d, behind at %d", seed, seq, behind)
		}
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"a", "", "a.b", "A_b-c", "größe", "=", "x y*>", "=41"} {
		n := namesOf("currents", name)
		got, ok := connectorOf("currents", n.stream)
		require.True(t, ok, n.stream)
		require.Equal(t, name, got)
	}
	for _, stream := range []string{"currents_a_b", "other_a", "currents_=4", "currents_=61", "currents_=zz", "currents"} {
		_, ok := connectorOf("currents", stream)
		require.False(t, ok, stream)
	}
	_, err := parseTotals([]byte{3, 2 << 2, 9, 0, 0})
	require.Error(t, err)
	require.NotErrorIs(t, err, wire.ErrDamaged)
}
