package pebble

import (
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// openIn opens the store of damage tests, with an upkeep that keeps out of the way.
func openIn(t *testing.T, fs vfs.FS) *Store {
	t.Helper()
	return openTest(t, damageDir, Options{FS: fs, CheckEvery: time.Hour, RetainAge: time.Hour})
}

// namesOf lists the files of one kind, the oldest first.
func namesOf(t *testing.T, fs vfs.FS, kind string) (names []string) {
	t.Helper()
	all, err := fs.List(damageDir)
	require.NoError(t, err)
	slices.Sort(all)
	return slices.DeleteFunc(all, func(name string) bool { return kindOf(name) != kind })
}

// A connector that never took an event has no totals. There is nothing wrong
// with that, and nothing to change.
func TestRepairOfAnEmptyConnectorChangesNothing(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		fs := vfs.NewMem()
		s := openIn(t, fs)
		_, err := openTestQueue(t, s, "full").Append(t.Context(), note([]string{"1"}, "x"))
		require.NoError(t, err)
		openTestQueue(t, s, "empty")
		if flushed {
			require.NoError(t, s.db.Flush())
		}
		require.NoError(t, s.Close())
		before, err := fs.List(damageDir)
		require.NoError(t, err)
		for _, dry := range []bool{true, false} {
			report, err := Repair(t.Context(), damageDir, RepairOptions{FS: fs, DryRun: dry})
			require.NoError(t, err)
			require.Empty(t, report.Estimates)
			require.Empty(t, report.SetAside)
			require.True(t, report.Whole)
			require.Len(t, report.Connectors, 2)
		}
		after, err := fs.List(damageDir)
		require.NoError(t, err)
		for _, name := range after {
			require.NotContains(t, name, setAside)
		}
		for _, name := range before {
			if kind := kindOf(name); kind == "sst" || kind == "blob" {
				require.Contains(t, after, name)
			}
		}
		s = openIn(t, fs)
		require.Zero(t, openTestQueue(t, s, "empty").Ledger())
		require.EqualValues(t, 1, openTestQueue(t, s, "full").Ledger().Pending())
		require.NoError(t, s.Close())
	}
}

// Where a whole table is gone, a connector without totals may have had some, and
// the repair says so.
func TestRepairDoubtsAnEmptyConnectorOfADamagedStore(t *testing.T) {
	fs := vfs.NewMem()
	s := openIn(t, fs)
	q := openTestQueue(t, s, "a")
	require.NoError(t, s.db.Flush())
	named := namesOf(t, fs, "sst")
	_, err := q.Append(t.Context(), note([]string{"1"}, "x"))
	require.NoError(t, err)
	require.NoError(t, s.db.Flush())
	require.NoError(t, s.Close())
	logs := namesOf(t, fs, "log")
	for _, name := range slices.Concat(namesOf(t, fs, "sst"), namesOf(t, fs, "blob"), logs[:len(logs)-1]) {
		if !slices.Contains(named, name) {
			require.NoError(t, fs.Remove(fs.PathJoin(damageDir, name)))
		}
	}
	report, err := Repair(t.Context(), damageDir, RepairOptions{FS: fs})
	require.NoError(t, err)
	require.False(t, report.Whole)
	require.NotEmpty(t, report.Damages)
	require.Len(t, report.Estimates, 1)
	require.Contains(t, report.Estimates[0], "connector a: its totals are lost")
	s = openIn(t, fs)
	defer s.Close()
	require.Zero(t, openTestQueue(t, s, "a").Ledger())
}

// A manifest that lost its end may name tables that hold every record and yet
// older totals than a table that it has forgotten: what was delivered would be
// pending again, without a word.
func TestTotalsOfAForgottenTableAreMissed(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := openIn(t, fs)
	q := openTestQueue(t, s, "a")
	_, err := q.Append(t.Context(), note([]string{"1", "2"}, "x", "y"))
	require.NoError(t, err)
	require.NoError(t, s.db.Flush())
	manifests := namesOf(t, fs, "MANIFEST")
	manifest := manifests[len(manifests)-1]
	whole := len(readFile(t, fs, manifest))
	tables := namesOf(t, fs, "sst")
	pin, err := s.db.NewIter(nil) // keeps the tables of now from being deleted
	require.NoError(t, err)
	require.NoError(t, drainOnce(t.Context(), q))
	want := q.Ledger()
	require.EqualValues(t, 2, want.Delivered)
	require.NoError(t, s.db.Flush())
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, pin.Close())
	require.NoError(t, s.Close())
	fs = crashed

	newer := slices.DeleteFunc(namesOf(t, fs, "sst"), func(name string) bool { return slices.Contains(tables, name) })
	require.NotEmpty(t, newer)
	logs := namesOf(t, fs, "log")
	for _, name := range logs[:len(logs)-1] {
		require.NoError(t, fs.Remove(fs.PathJoin(damageDir, name)))
	}
	writeFile(t, fs, manifest, readFile(t, fs, manifest)[:whole])

	_, err = Open(damageDir, Options{FS: fs, CheckEvery: time.Hour, RetainAge: time.Hour})
	require.ErrorIs(t, err, queue.ErrDamaged)
	require.ErrorContains(t, err, ".sst is newer than what the MANIFEST names, which lost its end")
	require.ErrorContains(t, err, "bridge repair --data-dir "+damageDir)
	require.Subset(t, namesOf(t, fs, "sst"), newer, "a repair needs them")

	report, err := Repair(t.Context(), damageDir, RepairOptions{FS: fs})
	require.NoError(t, err)
	require.False(t, report.Whole)
	s = openIn(t, fs)
	defer s.Close()
	require.Equal(t, want, openTestQueue(t, s, "a").Ledger())
}
