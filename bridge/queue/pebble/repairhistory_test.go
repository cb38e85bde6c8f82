package pebble

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// harmBlob damages the newest blob file that holds pending records alone.
func (e *erasing) harmBlob() {
	e.Helper()
	files, err := listFiles(e.s.opts.FS, e.dir)
	require.NoError(e, err)
	last := files[len(files)-1]
	require.Equal(e, blobFile, last.kind)
	path := filepath.Join(e.dir, last.name)
	b, err := os.ReadFile(path)
	require.NoError(e, err)
	b[len(b)/3] ^= 4
	require.NoError(e, os.WriteFile(path, b, 0o600))
}

// repair closes the store, repairs it and opens it again.
func (e *erasing) repair() RepairReport {
	e.Helper()
	require.NoError(e, e.s.Close())
	report, err := Repair(e.Context(), e.dir, RepairOptions{memTable: 64 << 10})
	require.NoError(e, err)
	require.False(e, report.Whole)
	e.open()
	return report
}

// history returns what a replay would deliver again, as record:index.
func (e *erasing) history() (places []string) {
	e.Helper()
	_, records, err := e.q.FetchReplay(e.Context(), queue.Limit{Events: 1 << 20, Bytes: 1 << 30})
	require.NoError(e, err)
	for _, r := range records {
		for _, ev := range r.Events {
			require.False(e, marked(ev.Raw), "record %d, event %d was erased", r.Seq, ev.Index)
			places = append(places, fmt.Sprint(r.Seq, ":", ev.Index))
		}
	}
	return places
}

// settleSome delivers event 0 of the oldest record, refuses event 1, filters
// event 2 and leaves the rest.
func (e *erasing) settleSome(all bool) {
	e.Helper()
	records, err := e.q.Fetch(e.Context(), queue.Limit{Events: 1, Bytes: 1 << 30})
	require.NoError(e, err)
	seq := records[0].Seq
	s := queue.Settlement{
		Delivered: []queue.Span{{Seq: seq}},
		Dead:      []queue.DeadEvent{{Seq: seq, Index: 1, Reason: "refused"}},
		Filtered:  []queue.Span{{Seq: seq, First: 2, Last: 2}},
	}
	if all {
		s.Delivered = append(s.Delivered, queue.Span{Seq: seq, First: 3, Last: len(records[0].Events) - 1})
	}
	require.NoError(e, e.q.Settle(e.Context(), s))
	e.q.Release(records...)
}

// TestRepairKeepsHistory erases, damages a file and repairs: outcomes, the
// replay and what was erased are as they were.
func TestRepairKeepsHistory(t *testing.T) {
	for name, settled := range map[string]func(e *erasing){
		"as it was":   func(*erasing) {},
		"in the log":  func(e *erasing) { e.reopen() },
		"compacted":   func(e *erasing) { e.compact() },
		"and flushed": func(e *erasing) { require.NoError(t, e.s.db.Flush()) },
	} {
		t.Run(name, func(t *testing.T) {
			e := newErasing(t)
			for i := range 3 { // done, with outcomes of each kind
				e.append(note([]string{fmt.Sprint("d", i), fmt.Sprint("e", i), fmt.Sprint("f", i), fmt.Sprint("g", i), fmt.Sprint("h", i)},
					noise(e.rng, 600), noise(e.rng, 600), noise(e.rng, 600), secret(e), noise(e.rng, 600)))
				e.settleSome(true)
			}
			e.fill(30)
			e.deliver()
			e.append(note([]string{"p0", "p1", "p2", "p3"}, noise(e.rng, 600), secret(e), noise(e.rng, 600), noise(e.rng, 600)))
			e.settleSome(false) // partly pending
			order, err := e.q.StartReplay(t.Context(), queue.ReplayOrder{Types: []string{"users.*"}, Rate: 3})
			require.NoError(t, err)
			require.NoError(t, e.q.SettleReplay(t.Context(), queue.ReplayProgress{Number: order.Number, Next: 2, Replayed: 2, Refused: 1}))
			e.gone(queue.Erasure{History: 4, Dead: 1})
			settled(e)
			require.NoError(t, e.s.db.Flush())
			e.fill(5)
			require.NoError(t, e.s.db.Flush())
			history, ledger := e.history(), e.q.Ledger()
			require.Len(t, history, 2*2+30+1)
			replay, err := e.q.Replay(t.Context())
			require.NoError(t, err)

			e.harmBlob()
			report := e.repair()
			require.NotEmpty(t, report.Damages)
			require.Positive(t, report.Connectors[0].Lost, "the blob file held pending records")
			require.Zero(t, report.Connectors[0].Again)
			require.Empty(t, report.Estimates)
			got, err := e.q.Replay(t.Context())
			require.NoError(t, err)
			require.True(t, replay.StartedAt.Equal(got.StartedAt))
			replay.StartedAt = got.StartedAt
			require.Equal(t, replay, got)
			require.Equal(t, history, e.history())
			l := e.q.Ledger()
			ledger.Dead += report.Connectors[0].Lost
			l.OldestPending, ledger.OldestPending = time.Time{}, time.Time{}
			require.Equal(t, ledger, l)
			require.Empty(t, filesWith(t, e.dir))
			require.Empty(t, filesWith(t, report.SetAside))

			// What was pending of the partly settled record is there still.
			before := len(e.history())
			e.deliver()
			require.Greater(t, len(e.history()), before)
			again, err := e.q.Erase(t.Context(), marked)
			require.NoError(t, err)
			require.Equal(t, queue.Erasure{}, again)
		})
	}
}

func (e *erasing) compact() {
	e.Helper()
	require.NoError(e, e.s.db.Flush())
	require.NoError(e, e.s.db.Compact(e.Context(), []byte{0}, []byte{255}, false))
}

// TestRepairBringsNothingBack repairs a store whose old logs and blob files hold
// more than its tables name: letters that were purged and totals that were
// overtaken.
func TestRepairBringsNothingBack(t *testing.T) {
	e := newErasing(t)
	e.append(note([]string{"1", "2", "3"}, noise(e.rng, 600), noise(e.rng, 600), noise(e.rng, 600)))
	e.bury()
	files, err := listFiles(e.s.opts.FS, e.dir)
	require.NoError(t, err)
	old := filepath.Join(e.dir, newestLog(files))
	kept, err := os.ReadFile(old)
	require.NoError(t, err)
	e.compact()
	n, err := e.q.PurgeDead(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	n, err = e.q.ReplayDead(t.Context(), 2)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	e.deliver()
	e.compact()
	e.reopen() // logs that are out of use go, and with them what says that letters were deleted
	e.compact()
	require.NoError(t, os.WriteFile(old, kept, 0o600)) // but for one that Pebble has kept
	before := e.q.Ledger()
	require.NoError(t, e.s.Close())
	require.NoError(t, os.Remove(filepath.Join(e.dir, e.marker())))
	report, err := Repair(t.Context(), e.dir, RepairOptions{})
	require.NoError(t, err)
	require.False(t, report.Whole)
	e.open()
	require.Equal(t, before, e.q.Ledger())
	letters, err := e.q.Dead(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Len(t, letters, 1)
	require.EqualValues(t, 3, letters[0].Number)
	require.Empty(t, report.Estimates)
}

// marker is the name of the file that names the manifest.
func (e *erasing) marker() string {
	e.Helper()
	found, err := filepath.Glob(filepath.Join(e.dir, manifestMarker+"*"))
	require.NoError(e, err)
	require.Len(e, found, 1)
	return filepath.Base(found[0])
}

// TestRepairMendsSmallValues gives each small value a content that makes no
// sense under a checksum that fits. A repair lets it go, and the store opens.
func TestRepairMendsSmallValues(t *testing.T) {
	for _, kind := range []byte{keyState, keyGone, keyReplay, keyMark, keyPartial, keyMissed, keyName} {
		t.Run(string(kind), func(t *testing.T) {
			e := newErasing(t)
			e.fill(3)
			e.deliver()
			e.append(note([]string{"a1", "a2", "a3", "a4"}, noise(e.rng, 600), "x", "y", "z"))
			e.settleSome(false)
			other, err := e.s.Open(t.Context(), "other", 10)
			require.NoError(t, err)
			_, err = other.Append(t.Context(), note([]string{"o"}, "o"))
			require.NoError(t, err)
			key := connKey(kind, 1)
			switch kind {
			case keyMark, keyPartial, keyMissed:
				key = seqKey(kind, 1, 4)
			case keyName:
				key = nameKey("a")
			}
			require.NoError(t, e.s.db.Set(key, []byte("nonsense!"), nil))
			require.NoError(t, e.s.Close())

			// The others are not held up.
			s := openTest(t, e.dir, Options{})
			q, err := s.Open(t.Context(), "other", 10)
			require.NoError(t, err)
			require.EqualValues(t, 1, q.Ledger().Pending())
			if _, err := s.Open(t.Context(), "a", 10); err != nil {
				require.ErrorIs(t, err, queue.ErrDamaged)
				require.ErrorContains(t, err, "bridge repair --data-dir "+e.dir)
			}
			require.NoError(t, s.Close())
			_, err = Repair(t.Context(), e.dir, RepairOptions{})
			require.NoError(t, err)
			e.open()
			if kind == keyName {
				e.q = openTestQueue(t, e.s, "recovered-1")
			}
			require.Positive(t, e.q.Ledger().Received)
			l := e.q.Ledger()
			require.Equal(t, l.Accepted, l.Filtered+l.Delivered+l.Dead+l.Purged+l.Pending())
			e.deliver()
		})
	}
}
