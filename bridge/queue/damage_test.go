package queue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

// damage changes one place of a file, and says how.
func damage(how string, data []byte, at int) []byte {
	data = bytes.Clone(data)
	switch how {
	case "one bit flipped":
		data[at] ^= 1 << (at % 8)
	case "a page zeroed":
		begin := at &^ 8191
		clear(data[begin:min(begin+8192, len(data))])
	case "cut short":
		data = data[:at]
	}
	return data
}

// damagedStore is a store with a bit of everything: delivered, pending in part and
// whole, filtered, dead. killed leaves its log; else it was stopped.
func damagedStore(t *testing.T, killed bool) (files map[string][]byte, ledger queue.Ledger) {
	from := t.TempDir()
	k := newKit(t, queue.Options{Dir: from, RetainAge: time.Hour})
	q := k.open("a")
	for i := range 60 {
		ids := []string{fmt.Sprint("filtered:f", i), fmt.Sprint("dead:d", i)}
		for j := range 40 {
			ids = append(ids, fmt.Sprint(i, "-", j))
		}
		k.add(q, queue.Receipt{Accepted: 42, Filtered: 1, Dead: 1}, ids...)
	}
	records := k.fetch(q, queue.Limit{Events: 1200, Bytes: 1 << 30})
	for i, r := range records {
		s := delivered(r)
		if i%3 == 0 {
			s.Delivered[0].Last = 19
			s.Dead = []queue.DeadEvent{{Seq: r.Seq, Index: 30, Reason: "refused", Status: 400}}
		}
		require.NoError(t, q.Settle(k.ctx, s))
	}
	q.Release(records...)
	ledger = k.balanced(q)
	if !killed {
		require.NoError(t, k.store.Close())
	}
	files = map[string][]byte{}
	for _, name := range []string{"queue.db", "queue.db-wal"} {
		if data, err := os.ReadFile(filepath.Join(from, name)); err == nil {
			files[name] = data
		}
	}
	require.NotEmpty(t, files["queue.db"])
	require.Equal(t, killed, len(files["queue.db-wal"]) > 0, "an orderly stop leaves no log, a kill leaves one")
	return files, ledger
}

// One place of a store is damaged, which was stopped or killed. It is opened, or
// refused with an error that names the file; what it has adds up to what it had,
// and everything else goes on.
func TestDamage(t *testing.T) {
	for _, killed := range []bool{false, true} {
		files, ledger := damagedStore(t, killed)
		for _, how := range []string{"one bit flipped", "a page zeroed", "cut short"} {
			t.Run(fmt.Sprintf("%s, killed %t", how, killed), func(t *testing.T) {
				places := 30
				if *long {
					places = 200
				}
				rng := rand.New(rand.NewPCG(5, 6))
				refused := 0
				for range places {
					if !damageOnce(t, files, how, ledger, rng) {
						refused++
					}
				}
				t.Logf("%d of %d refused with a reason", refused, places)
				require.Less(t, refused, places*3/4)
			})
		}
	}
}

// A file of which nothing can be read is refused, again and again, and left as it
// is: an empty store would hide that everything is lost.
func TestNothingLeftOfTheFile(t *testing.T) {
	files, _ := damagedStore(t, false)
	for at, how := range map[int]string{0: "a page zeroed", 572: "one bit flipped", 6558: "one bit flipped"} { // the first page has the tables
		k := newKit(t, queue.Options{Dir: t.TempDir()})
		file := filepath.Join(k.opts.Dir, "queue.db")
		damaged := damage(how, files["queue.db"], at)
		require.NoError(t, os.WriteFile(file, damaged, 0o600))
		for range 2 {
			err := errOf(k.openStore())
			require.ErrorIs(t, err, queue.ErrDamaged)
			require.ErrorContains(t, err, "move the file and its log away")
		}
		require.Equal(t, damaged, []byte(casefile.Text(t, file)))
	}
}

// Of a store whose file is empty or missing, no empty store is made: not beside its log,
// and an empty file is never what a start has left.
func TestFileGone(t *testing.T) {
	files, _ := damagedStore(t, true)
	for name, left := range map[string]map[string][]byte{
		"missing":               {"queue.db-wal": files["queue.db-wal"]},
		"empty":                 {"queue.db-wal": files["queue.db-wal"], "queue.db": {}},
		"empty, without a log":  {"queue.db": {}},
		"missing, in a rebuild": {"queue.db-wal": files["queue.db-wal"], "queue.db-new": files["queue.db"]},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t, queue.Options{Dir: t.TempDir()})
			for file, data := range left {
				require.NoError(t, os.WriteFile(filepath.Join(k.opts.Dir, file), data, 0o600))
			}
			for range 2 {
				err := errOf(k.openStore())
				require.ErrorIs(t, err, queue.ErrDamaged)
				require.ErrorContains(t, err, filepath.Join(k.opts.Dir, "queue.db"))
			}
			for file, data := range left {
				require.Equal(t, data, []byte(casefile.Text(t, filepath.Join(k.opts.Dir, file))))
			}
		})
	}
}

// A rebuild that was killed between its renames is ended by the next start: the log of the
// damaged file is never applied to the new one.
func TestRebuildKilled(t *testing.T) {
	files, ledger := damagedStore(t, true)
	whole, _ := damagedStore(t, false)
	for name, left := range map[string][]string{
		"before the first":            {"queue.db", "queue.db-wal", "queue.db-damaged"},
		"before that of the log":      {"queue.db-wal", "queue.db-damaged"},
		"before the mark was removed": {"queue.db-damaged"},
		"before the last":             nil,
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t, queue.Options{Dir: t.TempDir()})
			write := func(file string, data []byte) {
				require.NoError(t, os.WriteFile(filepath.Join(k.opts.Dir, file), data, 0o600))
			}
			for _, file := range left {
				write(file, files[file])
			}
			write("queue.db-rebuilt", whole["queue.db"])
			q := k.open("a")
			require.Equal(t, ledger.Accepted, k.balanced(q).Accepted)
			kept, err := filepath.Glob(filepath.Join(k.opts.Dir, "queue.db.*.damaged*"))
			require.NoError(t, err)
			require.Len(t, kept, len(slices.DeleteFunc(slices.Clone(left), func(s string) bool { return s == "queue.db-damaged" })))
		})
	}
}

// rootOf returns where the page at the top of a table begins.
func rootOf(t *testing.T, data []byte, table string) int {
	file := filepath.Join(t.TempDir(), "queue.db")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	conn, err := sqlite3.Open("file:" + file)
	require.NoError(t, err)
	defer conn.Close()
	stmt, _, err := conn.Prepare(`SELECT rootpage FROM sqlite_schema WHERE name = '` + table + `'`)
	require.NoError(t, err)
	defer stmt.Close()
	require.True(t, stmt.Step())
	return (stmt.ColumnInt(0) - 1) * 8192
}

// A bit of a page above others is flipped, in its middle, where nothing is: all that the
// pages below hold is found by other signs, at once and by the rebuild.
func TestDamageAbove(t *testing.T) {
	files, ledger := damagedStore(t, false)
	for _, table := range []string{"body", "connector", "ledger", "record", "ids", "letter", "replay", "meta"} {
		for _, marked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, marked %t", table, marked), func(t *testing.T) {
				dir := t.TempDir()
				damaged := damage("one bit flipped", files["queue.db"], rootOf(t, files["queue.db"], table)+4000)
				require.NoError(t, os.WriteFile(filepath.Join(dir, "queue.db"), damaged, 0o600))
				if marked {
					require.NoError(t, os.WriteFile(filepath.Join(dir, "queue.db-damaged"), nil, 0o600))
				}
				var err error
				for again := true; again; again = err != nil {
					k := newKit(t, queue.Options{Dir: dir, RetainAge: time.Hour})
					k.store, err = k.openStore()
					require.NoError(t, err)
					if err = workThrough(t, k.store, table); err != nil {
						require.ErrorIs(t, err, queue.ErrDamaged)
					} else if l := k.balanced(k.open("a")); table != "record" {
						require.Equal(t, ledger.Accepted+1, l.Accepted)
						require.Equal(t, ledger.Dead, l.Dead, "nothing is set aside")
						letters, err := allLetters(k.ctx, k.open("a"))
						require.NoError(t, err)
						for _, letter := range letters {
							require.NotEmpty(t, letter.Event)
							require.Equal(t, table == "letter", letter.Altered, "a page of them cannot be trusted")
						}
					}
					require.NoError(t, k.store.Close())
				}
				left, err := filepath.Glob(filepath.Join(dir, "queue.db-*"))
				require.NoError(t, err)
				require.Subset(t, []string{filepath.Join(dir, "queue.db-damaged")}, left)
			})
		}
	}
}

// A file is cut short in each of its pages, near its begin. What is left of a page can lead
// in circles.
func TestCutAtEachPage(t *testing.T) {
	files, ledger := damagedStore(t, false)
	for at := 8192 + 42; at < len(files["queue.db"]); at += 8192 {
		damageAt(t, files, "cut short", ledger, "queue.db", at)
	}
}

func damageOnce(t *testing.T, files map[string][]byte, how string, before queue.Ledger, rng *rand.Rand) (opened bool) {
	damaged := "queue.db"
	if len(files["queue.db-wal"]) > 0 && rng.IntN(2) == 0 {
		damaged = "queue.db-wal"
	}
	return damageAt(t, files, how, before, damaged, rng.IntN(len(files[damaged])))
}

func damageAt(t *testing.T, files map[string][]byte, how string, before queue.Ledger, damaged string, at int) (opened bool) {
	dir := t.TempDir()
	for name, data := range files {
		if name == damaged {
			data = damage(how, data, at)
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	where := fmt.Sprintf("%s at %d of %s", how, at, damaged)
	for range 4 {
		store, err := newKit(t, queue.Options{Dir: dir, RetainAge: time.Hour}).openStore()
		if err != nil {
			require.ErrorIs(t, err, queue.ErrDamaged, where)
			require.ErrorContains(t, err, "queue.db", where)
			return false
		}
		err = workThrough(t, store, where)
		if err == nil {
			q, err := store.Queue(t.Context(), "a", window)
			require.NoError(t, err, where)
			requireKept(t, files, how, before, damaged, at, q.Ledger())
		}
		require.NoError(t, store.Close(), where)
		if err == nil {
			return true
		}
		require.ErrorIs(t, err, queue.ErrDamaged, where) // the next start sets it aside
	}
	require.Fail(t, "it fails again and again", where)
	return false
}

// workThrough delivers everything that is pending and looks whether the ledger
// adds up.
func workThrough(t *testing.T, store *queue.Store, where string) error {
	ctx, cancel := context.WithTimeout(t.Context(), longTimeout)
	defer cancel()
	q, err := store.Queue(ctx, "a", window)
	if err != nil {
		return err
	}
	for q.Ledger().Pending() > 0 {
		// A claim that meets nothing but damage sets it aside and waits for more.
		soon, end := context.WithTimeout(ctx, 10*shortTimeout)
		records, err := q.Claim(soon, everything)
		end()
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			continue
		}
		if err == nil {
			err = q.Settle(ctx, delivered(records...))
			q.Release(records...)
		}
		if err != nil {
			return fmt.Errorf("claim or settle: %w", err)
		}
	}
	letters, err := allLetters(ctx, q)
	if err == nil {
		one := event("new")
		_, err = q.Append(ctx, queue.Batch{Body: one, Items: []queue.Item{{End: len(one), ID: queue.HashType(nil).Event(one)}}})
	}
	if err != nil {
		return err
	}
	dead := uint64(0)
	for _, letter := range letters {
		dead += uint64(letter.Events)
	}
	l := q.Ledger()
	require.NoError(t, imbalance(l), where)
	require.Equal(t, l.Dead, dead, "%s: the letters are not what the ledger says", where)
	return nil
}

// requireKept requires that nothing accepted is lost, of which one event came after the
// damage. Of a log that was cut short, what SQLite itself finds in the rest is left: it
// cannot be told from what a crash leaves. The last transactions of the log, of which the
// same holds, only settle. And a ledger that cannot be read starts from zero with what the
// tables hold.
func requireKept(t *testing.T, files map[string][]byte, how string, before queue.Ledger, damaged string, at int, l queue.Ledger) {
	where := fmt.Sprintf("%s at %d of %s: %+v", how, at, damaged, l)
	switch {
	case damaged == "queue.db-wal" && how == "cut short":
		require.Equal(t, acceptedIn(t, files, at)+1, l.Accepted, where)
	case damaged == "queue.db" && before.Filtered > 0 && l.Filtered == 0:
		require.True(t, how == "cut short" || l.Accepted > before.Dead+before.Pending(), where)
	default:
		require.Equal(t, before.Accepted+1, l.Accepted, where)
	}
}

// acceptedIn is what SQLite reads of the ledger where the log is cut short.
func acceptedIn(t *testing.T, files map[string][]byte, at int) uint64 {
	file := filepath.Join(t.TempDir(), "queue.db")
	require.NoError(t, os.WriteFile(file, files["queue.db"], 0o600))
	require.NoError(t, os.WriteFile(file+"-wal", files["queue.db-wal"][:at], 0o600))
	conn, err := sqlite3.Open("file:" + file)
	require.NoError(t, err)
	defer conn.Close()
	stmt, _, err := conn.Prepare(`SELECT accepted FROM ledger`)
	if err != nil {
		return 0 // the log had the tables
	}
	defer stmt.Close()
	if !stmt.Step() {
		return 0
	}
	return uint64(stmt.ColumnInt64(0))
}
