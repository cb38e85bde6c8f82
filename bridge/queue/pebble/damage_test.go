package pebble

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

const damageDir = "data"

// wreck is a small store with every kind of file, and what is in it.
type wreck struct {
	fs      *vfs.MemFS
	pending map[string]map[string]bool // by connector
	known   map[string]bool            // every event that ever was
	ledger  map[string]queue.Ledger
}

// makeWreck fills a store and lets it crash, or closes it.
func makeWreck(t *testing.T, closed bool) wreck {
	w := wreck{fs: vfs.NewCrashableMem(), pending: map[string]map[string]bool{}, known: map[string]bool{}, ledger: map[string]queue.Ledger{}}
	s, err := Open(damageDir, Options{FS: w.fs, memTable: 64 << 10, RetainAge: time.Hour, CheckEvery: time.Hour})
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range 3 {
		for _, name := range []string{"a", "b"} {
			w.fill(t, s, name, round, rng)
		}
		require.NoError(t, s.db.Flush())
		if round == 1 {
			require.NoError(t, s.db.Compact(t.Context(), []byte{0}, []byte{255}, false))
		}
	}
	for _, name := range []string{"a", "b"} {
		w.fill(t, s, name, 3, rng) // stays in the log
		q, err := s.Open(t.Context(), name, 1000)
		require.NoError(t, err)
		w.ledger[name] = q.Ledger()
		require.Equal(t, int(w.ledger[name].Pending()), len(w.pending[name]))
	}
	if closed {
		require.NoError(t, s.Close())
		return w
	}
	crashed := w.fs.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, s.Close())
	w.fs = crashed
	return w
}

// fill appends records, delivers some events, buries some and leaves the rest.
func (w *wreck) fill(t *testing.T, s *Store, name string, round int, rng *rand.Rand) {
	q, err := s.Open(t.Context(), name, 1000)
	require.NoError(t, err)
	if w.pending[name] == nil {
		w.pending[name] = map[string]bool{}
	}
	for i := range 5 {
		var b queue.Batch
		for e := range 6 {
			text := fmt.Sprintf(`{"id":"%s-%d-%d-%d","x":"%x"}`, name, round, i, e, rng.Uint64())
			if i > 1 {
				text += strings.Repeat(fmt.Sprintf("%x", rng.Uint64()), 20)
			}
			b.Items = append(b.Items, queue.Item{Start: len(b.Body), End: len(b.Body) + len(text), ID: queue.HashID([]byte(text))})
			b.Body = append(b.Body, text...)
			w.pending[name][text] = true
			w.known[text] = true
		}
		_, err := q.Append(t.Context(), b)
		require.NoError(t, err)
	}
	records, err := q.Fetch(t.Context(), queue.Limit{Events: 18, Bytes: 1 << 20})
	require.NoError(t, err)
	for i, r := range records {
		var done queue.Settlement
		events := r.Events
		if i == 1 {
			events = events[:len(events)/2] // the rest stays pending
		}
		for _, e := range events {
			delete(w.pending[name], string(e.Raw))
			if e.Index == 2 {
				done.Dead = append(done.Dead, queue.DeadEvent{Seq: r.Seq, Index: e.Index, Reason: "refused", Answer: strings.Repeat("no ", 120)})
			} else {
				done.Delivered = append(done.Delivered, queue.Span{Seq: r.Seq, First: e.Index, Last: e.Index})
			}
		}
		require.NoError(t, q.Settle(t.Context(), done))
	}
	q.Release(records...)
}

func (w wreck) clone(t *testing.T) *vfs.MemFS {
	fs := vfs.NewMem()
	ok, err := vfs.Clone(w.fs, fs, damageDir, damageDir)
	require.NoError(t, err)
	require.True(t, ok)
	return fs
}

// harm is one way to damage a file.
type harm struct {
	name string
	do   func([]byte) []byte
}

func harms(size int, rng *rand.Rand) []harm {
	var all []harm
	flip := func(at int) {
		mask := byte(1 << rng.IntN(8))
		if rng.IntN(2) == 0 {
			mask = byte(1 + rng.IntN(255))
		}
		all = append(all, harm{fmt.Sprintf("flip@%d", at), func(b []byte) []byte { b[at] ^= mask; return b }})
	}
	cut := func(at int) {
		all = append(all, harm{fmt.Sprintf("cut@%d", at), func(b []byte) []byte { return b[:at] }})
	}
	if size == 0 {
		return nil
	}
	flip(0)
	flip(size - 1)
	cut(0)
	cut(size - 1)
	for range 2 {
		flip(rng.IntN(size))
		cut(rng.IntN(size))
	}
	return all
}

func readFile(t *testing.T, fs vfs.FS, name string) []byte {
	f, err := fs.Open(fs.PathJoin(damageDir, name))
	require.NoError(t, err)
	defer f.Close()
	b, err := io.ReadAll(f)
	require.NoError(t, err)
	return b
}

func writeFile(t *testing.T, fs vfs.FS, name string, b []byte) {
	f, err := fs.Create(fs.PathJoin(damageDir, name), vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = f.Write(b)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
}

// TestDamage damages every kind of file in many places. It must be met with an
// error or a line in the log that names it, or do no harm; and be mended.
func TestDamage(t *testing.T) {
	for _, closed := range []bool{false, true} {
		w := makeWreck(t, closed)
		names, err := w.fs.List(damageDir)
		require.NoError(t, err)
		slices.Sort(names)
		kinds := map[string]int{}
		rng := rand.New(rand.NewPCG(5, 6))
		for _, name := range names {
			if closed && kindOf(name) != "log" {
				kinds[kindOf(name)]++
				continue // as after a crash
			}
			b := readFile(t, w.fs, name)
			kinds[kindOf(name)]++
			for _, h := range harms(len(b), rng) {
				what := fmt.Sprintf("closed=%t/%s/%s", closed, name, h.name)
				fs := w.clone(t)
				writeFile(t, fs, name, h.do(bytes.Clone(b)))
				w.checkNamed(t, what, fs, name)
				fs = w.clone(t)
				writeFile(t, fs, name, h.do(bytes.Clone(b)))
				w.checkMended(t, what, fs)
			}
			// A log that is gone is as one that never was, where an older one
			// is still there.
			if kind := kindOf(name); kind != "LOCK" && kind != "log" {
				what := fmt.Sprintf("closed=%t/%s/gone", closed, name)
				fs := w.clone(t)
				require.NoError(t, fs.Remove(fs.PathJoin(damageDir, name)))
				w.checkNamed(t, what, fs, name)
				fs = w.clone(t)
				require.NoError(t, fs.Remove(fs.PathJoin(damageDir, name)))
				w.checkMended(t, what, fs)
			}
		}
		for _, kind := range []string{"sst", "blob", "log", "MANIFEST", "OPTIONS", "marker"} {
			require.Positive(t, kinds[kind], kind)
		}
	}
}

func kindOf(name string) string {
	if f, ok := parseName(name); ok {
		return string(f.kind)
	}
	for _, kind := range []string{"MANIFEST", "OPTIONS", "marker", "LOCK"} {
		if strings.HasPrefix(name, kind) {
			return kind
		}
	}
	return name
}

// logText is what was logged, from whatever goroutine.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func noPause(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// drain returns the events that can be fetched, and those of dead letters by
// their reason.
func drain(t *testing.T, s *Store, name string) (events map[string]bool, letters map[string]int, err error) {
	open, err := s.Open(t.Context(), name, 1000)
	if err != nil {
		return nil, nil, err
	}
	q := open.(*connQueue)
	events, letters = map[string]bool{}, map[string]int{}
	for {
		records, _, err := q.take(queue.Limit{Events: 100, Bytes: 1 << 20})
		require.NoError(t, err)
		if len(records) == 0 {
			break
		}
		for _, r := range records {
			for _, e := range r.Events {
				events[string(e.Raw)] = true
			}
		}
	}
	dead, err := q.Dead(t.Context(), 0, 10000)
	require.NoError(t, err)
	for _, d := range dead {
		letters[d.Reason]++
	}
	return events, letters, nil
}

// checkNamed opens the store: what is missing must have been named.
func (w wreck) checkNamed(t *testing.T, what string, fs *vfs.MemFS, file string) {
	var log logText
	s, err := Open(damageDir, Options{
		FS: fs, CheckEvery: time.Hour, RetainAge: time.Hour, pause: noPause, ScrubEvery: 0,
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo})),
	})
	if err != nil {
		require.ErrorIs(t, err, queue.ErrDamaged, what)
		require.Contains(t, err.Error(), "bridge repair --data-dir "+damageDir, what)
		require.Regexp(t, `\d{6}|marker`, err.Error(), what)
		return
	}
	defer s.Close()
	missing, damaged := 0, false
	for _, name := range []string{"a", "b"} {
		events, letters, err := drain(t, s, name)
		if err != nil {
			require.ErrorIs(t, err, queue.ErrDamaged, what)
			damaged = true
			continue
		}
		for e := range events {
			require.True(t, w.known[e], "%s: altered event %q", what, e)
		}
		for e := range w.pending[name] {
			if !events[e] {
				missing++
			}
		}
		missing += max(0, int(w.ledger[name].Dead)-letters["refused"])
	}
	s.opts.ScrubEvery = time.Hour
	s.scrubOnce(t.Context())
	if missing > 0 && !damaged {
		// A log that ends early at the end of a record looks as after a crash.
		named := s.Usage().Damaged > 0 || kindOf(file) == "log" && strings.Contains(log.String(), "file="+file)
		require.True(t, named, "%s: %d events are missing and nothing is said\n%s", what, missing, log.String())
	}
	if s.Usage().Damaged > 0 {
		require.Regexp(t, `level=ERROR`, log.String(), what)
	}
}

// checkMended repairs the store: every event must be there or be accounted for.
func (w wreck) checkMended(t *testing.T, what string, fs *vfs.MemFS) {
	report, err := Repair(t.Context(), damageDir, RepairOptions{FS: fs})
	require.NoError(t, err, what)
	var log logText
	s, err := Open(damageDir, Options{
		FS: fs, CheckEvery: time.Hour, RetainAge: time.Hour, pause: noPause,
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	require.NoError(t, err, "%s: %+v", what, report)
	defer s.Close()
	names := []string{"a", "b"}
	for _, c := range report.Connectors {
		if !slices.Contains(names, c.Name) {
			names = append(names, c.Name)
		}
	}
	rest := map[string]bool{}
	for _, name := range []string{"a", "b"} {
		maps.Copy(rest, w.pending[name])
	}
	found, damaged := 0, 0
	for _, name := range names {
		events, letters, err := drain(t, s, name)
		require.NoError(t, err, what)
		l := s.queues[name].Ledger()
		require.Equal(t, l.Accepted, l.Filtered+l.Delivered+l.Dead+l.Purged+l.Pending(), what)
		require.Equal(t, l.Received, l.Duplicates+l.Accepted, what)
		require.Equal(t, int(l.Pending()), len(events), "%s: %s: pending\n%+v", what, name, report)
		require.Equal(t, int(l.Dead), letters["refused"]+letters[ReasonDamaged], "%s: dead\n%+v", what, report)
		for e := range events {
			require.True(t, w.known[e], "%s: altered event %q", what, e)
			delete(rest, e)
			found++
		}
		damaged += letters[ReasonDamaged]
	}
	if len(rest) > damaged {
		require.True(t, len(report.Torn)+len(report.Estimates) > 0, "%s: %d pending events are gone, %d are dead, and nothing is said\n%+v", what, len(rest), damaged, report)
	}
	s.opts.ScrubEvery = time.Hour
	s.scrubOnce(t.Context())
	require.Zero(t, s.Usage().Damaged, "%s: after the repair\n%s", what, log.String())
}
