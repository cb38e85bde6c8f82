package pebble

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// marker is in events that are to be erased. No four bytes of it are in
// anything else, so that s2 keeps it as it is.
const marker = "q7Zx9Kp2Vw4Tn8RbQ3"

func marked(event []byte) bool { return bytes.Contains(event, []byte(marker)) }

// filesWith returns the files of dir that hold the marker.
func filesWith(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if os.IsNotExist(err) || e.IsDir() {
			continue
		}
		require.NoError(t, err)
		if bytes.Contains(data, []byte(marker)) {
			names = append(names, e.Name())
		}
	}
	return names
}

// note makes a batch of events with these texts; each has an id of its own.
func note(ids []string, texts ...string) queue.Batch {
	b := queue.Batch{Body: []byte(`{"events":[`)}
	for i, text := range texts {
		if i > 0 {
			b.Body = append(b.Body, ',')
		}
		start := len(b.Body)
		b.Body = fmt.Appendf(b.Body, `{"id":%q,"text":%q}`, ids[i], text)
		b.Items = append(b.Items, queue.Item{Start: start, End: len(b.Body), ID: queue.HashID([]byte(ids[i]))})
	}
	b.Body = append(b.Body, `]}`...)
	return b
}

// noise is text that cannot be compressed.
func noise(rng *rand.Rand, n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[rng.IntN(64)]
	}
	return string(b)
}

// erasing is a store on disk with a little memtable, and what was put into it.
type erasing struct {
	*testing.T
	dir string
	s   *Store
	q   *connQueue
	rng *rand.Rand
	n   int
}

func newErasing(t *testing.T) *erasing {
	e := &erasing{T: t, dir: t.TempDir(), rng: rand.New(rand.NewPCG(3, 4))}
	e.open()
	t.Cleanup(func() { require.NoError(t, e.s.Close()) })
	return e
}

func (e *erasing) open() {
	e.s = openTest(e.T, e.dir, Options{RetainAge: time.Hour, memTable: 64 << 10})
	e.q = openTestQueue(e.T, e.s, "a")
}

func (e *erasing) reopen() {
	require.NoError(e, e.s.Close())
	e.open()
}

func (e *erasing) append(b queue.Batch) queue.Receipt {
	e.Helper()
	receipt, err := e.q.Append(e.Context(), b)
	require.NoError(e, err)
	return receipt
}

// fill stores records of noise, so many that memtables are flushed.
func (e *erasing) fill(records int) {
	for range records {
		e.n++
		e.append(note([]string{fmt.Sprint("fill", e.n)}, noise(e.rng, 2000)))
	}
}

// deliver settles all that is pending.
func (e *erasing) deliver() {
	e.Helper()
	for e.q.Ledger().Pending() > 0 {
		require.NoError(e, drainOnce(e.Context(), e.q))
	}
}

// bury settles all that is pending as dead.
func (e *erasing) bury() {
	e.Helper()
	for e.q.Ledger().Pending() > 0 {
		records, err := e.q.Fetch(e.Context(), queue.Limit{Events: 1 << 20, Bytes: 1 << 30})
		require.NoError(e, err)
		var s queue.Settlement
		for _, r := range records {
			for _, ev := range r.Events {
				s.Dead = append(s.Dead, queue.DeadEvent{Seq: r.Seq, Index: ev.Index, Reason: "refused"})
			}
		}
		require.NoError(e, e.q.Settle(e.Context(), s))
		e.q.Release(records...)
	}
}

// gone erases and requires that the marker was on disk and is not any more.
func (e *erasing) gone(want queue.Erasure) {
	e.Helper()
	require.NotEmpty(e, filesWith(e.T, e.dir), "the test must see what is to go")
	ctx, cancel := context.WithTimeout(e.Context(), time.Minute)
	defer cancel()
	got, err := e.q.Erase(ctx, marked)
	require.NoError(e, err)
	require.Equal(e, want, got)
	require.Empty(e, filesWith(e.T, e.dir))
}

// secret is a text with the marker that is large enough for a blob file.
func secret(e *erasing) string { return marker + noise(e.rng, 1500) }

func TestErasedBytesLeaveTheDisk(t *testing.T) {
	for name, run := range map[string]func(e *erasing){
		"in the log": func(e *erasing) {
			e.append(note([]string{"1", "2"}, secret(e), noise(e.rng, 500)))
			e.deliver()
			e.gone(queue.Erasure{History: 1})
		},
		"in blob files among others": func(e *erasing) {
			for i := range 10 {
				e.fill(30)
				e.append(note([]string{fmt.Sprint(i), fmt.Sprint("x", i)}, secret(e), noise(e.rng, 500)))
				e.fill(30)
			}
			e.deliver()
			e.gone(queue.Erasure{History: 10})
		},
		"in tables": func(e *erasing) {
			e.append(note([]string{"1"}, marker))
			e.deliver()
			require.NoError(e, e.s.db.Flush())
			e.fill(100)
			e.deliver()
			e.gone(queue.Erasure{History: 1})
		},
		"after a restart": func(e *erasing) {
			e.fill(50)
			e.append(note([]string{"1"}, secret(e)))
			e.fill(50)
			e.deliver()
			e.reopen()
			e.gone(queue.Erasure{History: 1})
		},
		"in a log that is used again": func(e *erasing) {
			e.append(note([]string{"1"}, secret(e)))
			e.deliver()
			require.NoError(e, e.s.db.Flush()) // its log may be used again from here on
			require.NoError(e, e.s.db.Flush()) // and is
			e.gone(queue.Erasure{History: 1})
		},
		"a duplicate beside others": func(e *erasing) {
			text := secret(e)
			e.append(note([]string{"1"}, text))
			got := e.append(note([]string{"2", "1"}, noise(e.rng, 3000), text))
			require.Equal(e, queue.Receipt{Accepted: 1, Duplicates: 1}, got)
			e.deliver()
			require.NoError(e, e.s.db.Flush())
			e.gone(queue.Erasure{History: 1})
		},
		"a dead letter and its record": func(e *erasing) {
			e.fill(20)
			e.append(note([]string{"1", "2"}, secret(e), marker))
			e.fill(20)
			e.bury()
			e.gone(queue.Erasure{History: 2, Dead: 2})
		},
	} {
		t.Run(name, func(t *testing.T) { run(newErasing(t)) })
	}
}

// Killed after the records were rewritten and before the files were, Erase has
// nothing left to find, and yet to wipe.
func TestEraseCutOffIsFinished(t *testing.T) {
	e := newErasing(t)
	e.fill(20)
	e.append(note([]string{"1"}, marker+noise(e.rng, 1000)))
	e.fill(20)
	e.deliver()
	require.NoError(t, e.s.db.Flush())
	er := eraser{queue: e.q, match: marked}
	_, err := er.records(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, queue.Erasure{History: 1}, er.out)
	e.reopen()
	e.gone(queue.Erasure{})
}

// Retention that deletes a record while it is rewritten has the last word.
func TestEraseBringsNothingBack(t *testing.T) {
	k := newKeeping(t, Options{RetainAge: time.Hour})
	q := openTestQueue(t, k.s, "a")
	k.addDelivered(q, 100)
	k.addDelivered(q, 100)
	k.mark(q)
	k.pass(5 * time.Minute)
	k.addDelivered(q, 100)
	k.mark(q)
	w := walk{queue: q, next: 1, end: 4}
	er := eraser{queue: q, match: func([]byte) bool { return true }}
	var changed []rewritten
	for w.advance(t.Context()) {
		r, err := er.rewrite(&w)
		require.NoError(t, err)
		changed = append(changed, r)
	}
	require.NoError(t, w.close())
	require.Len(t, changed, 3)
	k.pass(56 * time.Minute)
	k.kept(3)
	require.NoError(t, er.commit(changed))
	require.Equal(t, []uint64{3}, k.numbers(keyRecord, 1))
	require.Equal(t, queue.Erasure{History: 1}, er.out)
}

func TestEraseEndsWithTheStore(t *testing.T) {
	k := newKeeping(t, Options{RetainAge: time.Hour})
	q := openTestQueue(t, k.s, "a")
	k.addDelivered(q, 100)
	k.addDelivered(q, 100)
	begun, done := make(chan struct{}), make(chan error, 2)
	var once sync.Once
	erase := func() {
		_, err := q.Erase(context.Background(), func([]byte) bool {
			once.Do(func() { close(begun) })
			<-k.s.done
			return true
		})
		done <- err
	}
	go erase()
	<-begun
	go erase() // waits for the first
	require.NoError(t, k.s.Close())
	for range 2 {
		require.ErrorIs(t, <-done, queue.ErrClosed)
	}
}
