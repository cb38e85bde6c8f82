package migrate

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// fill makes a store with two connectors: a has pending events, of which one
// record is delivered in part, and letters; b has one event; done has nothing left.
func fill(t *testing.T, dir string) {
	store := open(t, dir)
	a := openQueue(t, store, "a")
	add(t, a, received, queue.Pending, "1", "2", "3")
	got, err := a.Fetch(t.Context(), queue.Limit{Events: 3, Bytes: 1 << 20})
	require.NoError(t, err)
	require.NoError(t, a.Settle(t.Context(), queue.Settlement{
		Delivered: []queue.Span{{Seq: got[0].Seq, First: 0, Last: 0}},
		Dead:      []queue.DeadEvent{{Seq: got[0].Seq, Index: 1, Reason: "refused", Status: 400, Answer: "no", Attempts: 7}},
	}))
	a.Release(got...)
	add(t, a, received.Add(time.Second), queue.Pending, "4", "", "5")
	add(t, a, received.Add(time.Second), queue.Dead, "6", "")
	add(t, a, received.Add(2*time.Second), queue.Filtered, "7")
	add(t, openQueue(t, store, "b"), received, queue.Pending, "1")
	add(t, openQueue(t, store, "done"), received, queue.Filtered, "1")
	require.NoError(t, store.Close())
}

// whole requires that to has exactly what fill made; of events without an id
// there may be more, but no fewer.
func whole(t *testing.T, to queue.Store, exact bool) {
	t.Helper()
	names, err := to.Connectors(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, names)
	a := openQueue(t, to, "a")
	records, raws := pending(t, a)
	want := []string{string(event("3")), string(event("4")), string(event("")), string(event("5"))}
	dead := letters(t, a)
	slices.SortFunc(dead, func(a, b queue.DeadLetter) int { return strings.Compare(string(a.Event), string(b.Event)) })
	slices.Sort(want)
	slices.Sort(raws)
	if !exact {
		raws = slices.Compact(raws)
	}
	require.Equal(t, want, raws)
	for _, r := range records {
		at := received.Add(time.Second)
		if string(r.Events[0].Raw) == string(event("3")) {
			at = received
		}
		require.True(t, r.ReceivedAt.Equal(at), "%s", r.Events[0].Raw)
	}
	if exact {
		require.Len(t, dead, 3)
	}
	require.Equal(t, string(event("2")), string(dead[0].Event))
	require.Equal(t, "refused", dead[0].Reason)
	require.Equal(t, []any{400, "no", 7}, []any{dead[0].Status, dead[0].Answer, dead[0].Attempts})
	require.True(t, dead[0].ReceivedAt.Equal(received))
	require.False(t, dead[0].DiedAt.IsZero())
	require.Equal(t, string(event("6")), string(dead[1].Event))
	require.Equal(t, "no_identity", dead[1].Reason)
	require.True(t, dead[1].ReceivedAt.Equal(received.Add(time.Second)))
	for _, letter := range dead[2:] {
		require.Equal(t, string(event("")), string(letter.Event))
	}
	a.Release(records...)
	b := openQueue(t, to, "b")
	records, raws = pending(t, b)
	require.Equal(t, []string{string(event("1"))}, raws)
	b.Release(records...)
	balanced(t, a)
}

// emptied requires that nothing waits in the source, and that its books hold.
func emptied(t *testing.T, from queue.Store) {
	t.Helper()
	a := openQueue(t, from, "a").Ledger()
	require.Equal(t, queue.Ledger{Received: 9, Accepted: 9, Filtered: 5, Delivered: 1, Purged: 3}, a)
	b := openQueue(t, from, "b").Ledger()
	require.Equal(t, queue.Ledger{Received: 1, Accepted: 1, Filtered: 1}, b)
}

func TestRunMovesWhatWaits(t *testing.T) {
	dir := t.TempDir()
	fill(t, filepath.Join(dir, "from"))
	from, to := open(t, filepath.Join(dir, "from")), open(t, filepath.Join(dir, "to"))
	defer from.Close()
	defer to.Close()
	total, err := Waiting(t.Context(), from, Options{})
	require.NoError(t, err)
	require.Equal(t, 8, total)
	moved := 0
	report, err := Run(t.Context(), from, to, Options{Moved: func(n int) { moved += n }})
	require.NoError(t, err)
	require.Equal(t, total, moved)
	require.Zero(t, report.Left())
	require.Len(t, report.Connectors, 2)
	a := report.Connectors[0]
	require.Equal(t, queue.Ledger{Received: 7, Accepted: 7, Dead: 3, OldestPending: a.Destination.OldestPending}, a.Destination)
	require.WithinRange(t, a.Destination.OldestPending, received, received.Add(time.Second))
	require.Equal(t, Connector{Name: "a", Pending: 4, Dead: 3, WithoutID: 2, Source: a.Source, Destination: a.Destination}, a)
	require.Equal(t, 1, report.Connectors[1].Pending)
	whole(t, to, true)
	emptied(t, from)

	// What was moved is no part of a replay of the source's history.
	q := openQueue(t, from, "a")
	_, err = q.StartReplay(t.Context(), queue.ReplayOrder{})
	require.NoError(t, err)
	_, records, err := q.FetchReplay(t.Context(), queue.Limit{Events: 100, Bytes: 1 << 20})
	require.NoError(t, err)
	require.Len(t, records, 1)
	require.Len(t, records[0].Events, 1)
	require.Equal(t, string(event("1")), string(records[0].Events[0].Raw))

	// Again: nothing is left to move, and that a replay is under way is told.
	report, err = Run(t.Context(), from, to, Options{})
	require.NoError(t, err)
	require.Len(t, report.Connectors, 1)
	require.True(t, report.Connectors[0].Replaying)
	require.Zero(t, report.Connectors[0].Pending+report.Connectors[0].Dead)
	whole(t, to, true)
}

// errCut stands for the end of the process.
var errCut = errors.New("the process has ended")

// An end before or after any call that changes a store loses nothing, and the
// next run finds what is there already by its id.
func TestAnEndAtAnyMomentLosesNothing(t *testing.T) {
	repeats := 0
	for _, after := range []bool{false, true} {
		ended := true
		for at := 1; ended; at++ {
			t.Run(fmt.Sprint("call ", at, " after ", after), func(t *testing.T) {
				dir := t.TempDir()
				fill(t, filepath.Join(dir, "from"))
				ended = false
				cut := &gate{judge: func(call int, done bool) error {
					ended = ended || call == at && done == after
					if ended {
						return errCut
					}
					return nil
				}}
				from, to := open(t, filepath.Join(dir, "from")), open(t, filepath.Join(dir, "to"))
				_, err := Run(t.Context(), watched{Store: from, gate: cut}, watched{Store: to, gate: cut}, Options{Patience: -1})
				if ended {
					require.ErrorIs(t, err, errCut)
				} else {
					require.NoError(t, err)
				}
				require.NoError(t, from.Close())
				require.NoError(t, to.Close())

				from, to = open(t, filepath.Join(dir, "from")), open(t, filepath.Join(dir, "to"))
				defer from.Close()
				defer to.Close()
				report, err := Run(t.Context(), from, to, Options{})
				require.NoError(t, err)
				require.Zero(t, report.Left())
				for _, c := range report.Connectors {
					repeats += c.Repeats
				}
				whole(t, to, false)
				emptied(t, from)
			})
		}
	}
	require.Positive(t, repeats, "no end was between the two stores")
}

func TestWhatIsTooLargeStays(t *testing.T) {
	dir := t.TempDir()
	from, to := open(t, filepath.Join(dir, "from")), open(t, filepath.Join(dir, "to"))
	defer from.Close()
	defer to.Close()
	q := openQueue(t, from, "a")
	big := string(slices.Repeat([]byte("x"), 500))
	add(t, q, received, queue.Pending, "1", "2", "big"+big, "3")
	add(t, q, received, queue.Pending, "4")
	add(t, q, received, queue.Dead, "5", "dead"+big)
	for range 2 { // the second time it stays again, and nothing else is there
		report, err := Run(t.Context(), from, watched{Store: to, most: 300}, Options{})
		require.NoError(t, err)
		require.Equal(t, 2, report.Left())
		require.Equal(t, 2, report.Connectors[0].TooLarge)
		require.Zero(t, report.Connectors[0].Unreadable)
		records, raws := pending(t, q)
		require.Equal(t, []string{string(event("big" + big))}, raws)
		q.Release(records...)
		require.Len(t, letters(t, q), 1)
		l := openQueue(t, to, "a").Ledger()
		require.Equal(t, []uint64{5, 1, 4, 0}, []uint64{l.Accepted, l.Dead, l.Pending(), l.Duplicates})
	}
}

func TestWhatCannotBeReadStays(t *testing.T) {
	dir := t.TempDir()
	fill(t, filepath.Join(dir, "from"))
	from, to := open(t, filepath.Join(dir, "from")), open(t, filepath.Join(dir, "to"))
	defer from.Close()
	defer to.Close()
	report, err := Run(t.Context(), watched{Store: from, mute: true}, to, Options{stall: time.Millisecond})
	require.NoError(t, err)
	require.Equal(t, 4, report.Connectors[0].Unreadable)
	require.Equal(t, 3, report.Connectors[0].Dead, "letters are moved all the same")
	require.Equal(t, 5, report.Left())
}

func TestAStoreThatFailsIsAskedAgain(t *testing.T) {
	dir := t.TempDir()
	fill(t, filepath.Join(dir, "from"))
	from, to := open(t, filepath.Join(dir, "from")), open(t, filepath.Join(dir, "to"))
	defer from.Close()
	defer to.Close()
	failing := &gate{judge: func(call int, done bool) error {
		if call%2 == 1 && !done {
			return queue.ErrFull
		}
		return nil
	}}
	report, err := Run(t.Context(), from, watched{Store: to, gate: failing}, Options{})
	require.NoError(t, err)
	require.Zero(t, report.Left())
	whole(t, to, true)

	add(t, openQueue(t, from, "a"), received, queue.Pending, "8")
	always := &gate{judge: func(int, bool) error { return queue.ErrFull }}
	report, err = Run(t.Context(), from, watched{Store: to, gate: always}, Options{Patience: -1})
	require.ErrorIs(t, err, queue.ErrFull)
	require.ErrorContains(t, err, "connector a: store in the destination")
	require.Len(t, report.Connectors, 1)
}

// Whoever interrupts a run finds what has arrived taken out of the source.
func TestAnInterruptionLeavesTheBooksInOrder(t *testing.T) {
	dir := t.TempDir()
	from, to := open(t, filepath.Join(dir, "from")), open(t, filepath.Join(dir, "to"))
	defer from.Close()
	defer to.Close()
	q := openQueue(t, from, "a")
	for i := range 50 {
		add(t, q, received, queue.Pending, fmt.Sprint(i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	moved := 0
	report, err := Run(ctx, from, to, Options{Moved: func(n int) {
		if moved += n; moved == 20 {
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	require.GreaterOrEqual(t, moved, 20)
	require.Less(t, moved, 50)
	require.Equal(t, moved, report.Connectors[0].Pending)
	require.EqualValues(t, 50-moved, q.Ledger().Pending())
	require.EqualValues(t, moved, openQueue(t, to, "a").Ledger().Pending())

	report, err = Run(t.Context(), from, to, Options{})
	require.NoError(t, err)
	require.Zero(t, report.Connectors[0].Repeats)
	_, raws := pending(t, openQueue(t, to, "a"))
	require.Len(t, raws, 50)
}
