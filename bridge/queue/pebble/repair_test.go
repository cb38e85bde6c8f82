package pebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// TestRepairInterrupted stops a repair before each rename and each write of a
// directory in turn. What is left either is the old store, or is refused until
// the next repair has brought the first to its end.
func TestRepairInterrupted(t *testing.T) {
	w := makeWreck(t, false)
	stopped := errors.New("stopped")
	for n := 0; ; n++ {
		mem := w.clone(t)
		names, err := mem.List(damageDir)
		require.NoError(t, err)
		for _, name := range names {
			if kindOf(name) == "blob" {
				b := readFile(t, mem, name)
				b[100] ^= 4
				writeFile(t, mem, name, b)
				break
			}
		}
		left, moving := n, false
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			moving = moving || strings.Contains(op.Path, repairPlan)
			if !moving || (op.Kind != errorfs.OpRename && op.Kind != errorfs.OpRemove) {
				return nil
			}
			if left--; left < 0 {
				return stopped
			}
			return nil
		}))
		_, err = Repair(t.Context(), damageDir, RepairOptions{FS: fs})
		if err == nil {
			require.Greater(t, n, 20)
			return
		}
		require.ErrorIs(t, err, stopped)
		if _, err := mem.Stat(mem.PathJoin(damageDir, repairPlan)); err == nil {
			_, err := Open(damageDir, Options{FS: mem})
			require.ErrorIs(t, err, queue.ErrDamaged)
			require.ErrorContains(t, err, "a repair was interrupted")
		}
		report, err := Repair(t.Context(), damageDir, RepairOptions{FS: mem})
		require.NoError(t, err, n)
		s, err := Open(damageDir, Options{FS: mem})
		require.NoError(t, err, "%d: %+v", n, report)
		for _, name := range []string{"a", "b"} {
			events, letters, err := drain(t, s, name)
			require.NoError(t, err)
			require.Equal(t, len(w.pending[name])+int(w.ledger[name].Dead), len(events)+letters["refused"]+letters[ReasonDamaged], n)
		}
		require.NoError(t, s.Close())
	}
}

// TestScrubPace reads evenly over the time, at a bounded rate, and counts each
// place once.
func TestScrubPace(t *testing.T) {
	w := makeWreck(t, true)
	mem := w.clone(t)
	names, err := mem.List(damageDir)
	require.NoError(t, err)
	for _, name := range names {
		if kindOf(name) == "blob" {
			b := readFile(t, mem, name)
			b[100] ^= 4
			writeFile(t, mem, name, b)
			break
		}
	}
	now := time.Unix(1e9, 0)
	var waited, longest time.Duration
	s, err := Open(damageDir, Options{
		FS: mem, CheckEvery: time.Hour, RetainAge: time.Hour, Now: func() time.Time { return now },
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		pause: func(ctx context.Context, d time.Duration) error {
			waited, longest, now = waited+d, max(longest, d), now.Add(d)
			return ctx.Err()
		},
	})
	require.NoError(t, err)
	defer s.Close()
	require.True(t, s.Usage().Scrubbed.IsZero())
	s.opts.ScrubEvery = 24 * time.Hour
	for range 2 {
		waited = 0
		s.scrubOnce(t.Context())
		require.Equal(t, 24*time.Hour, waited.Round(time.Second))
		require.Equal(t, 1, s.Usage().Damaged)
	}
	require.WithinDuration(t, now, s.Usage().Scrubbed, 12*time.Hour)

	p := newPacer([]rawFile{{size: 1 << 40}}, time.Hour, s.opts.pause)
	waited = 0
	require.NoError(t, p.wait(t.Context(), 80<<20))
	require.Equal(t, 10*time.Second, waited.Round(time.Second))
}

// TestOpenRefuses tells an unknown layout from a value that is none, and says
// who has the directory.
func TestOpenRefuses(t *testing.T) {
	for value, want := range map[string]error{"\x02": queue.ErrNewerFormat, "\x80": queue.ErrDamaged, "\x00": queue.ErrDamaged, "": queue.ErrDamaged} {
		fs := vfs.NewMem()
		s, err := Open(damageDir, Options{FS: fs})
		require.NoError(t, err)
		_, err = Open(damageDir, Options{FS: fs})
		require.ErrorIs(t, err, queue.ErrLocked)
		require.ErrorContains(t, err, damageDir+": data directory is in use by another process: another bridge runs on it")
		require.NoError(t, s.db.Set(metaKey(metaFormat), []byte(value), nil))
		require.NoError(t, s.Close())
		_, err = Open(damageDir, Options{FS: fs})
		require.ErrorIs(t, err, want, fmt.Sprintf("%q", value))
	}
}
