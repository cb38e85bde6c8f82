package pebble

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// TestGolden holds what is written for one of everything against the bytes that
// an earlier version wrote: bridges that are updated read them.
func TestGolden(t *testing.T) {
	at := time.Unix(1_700_000_000, 5)
	s := openTest(t, "data", Options{FS: vfs.NewMem(), RetainAge: time.Hour, CheckEvery: time.Hour, Now: func() time.Time { return at }})
	defer func() { require.NoError(t, s.Close()) }()
	q := openTestQueue(t, s, "a")
	letter := &queue.DeadLetter{DiedAt: at.Add(-time.Hour), Status: 400, Answer: "no", Attempts: 3}
	_, err := q.Append(t.Context(), queue.Batch{
		Body: []byte(`{"events":[1,"two",33,4]}`), ReceivedAt: at.Add(-time.Minute),
		Items: []queue.Item{
			{Start: 11, End: 12, ID: queue.Hash{1, 2}}, {Start: 13, End: 18, ID: queue.Hash{3, 1 << 60}},
			{Start: 19, End: 21, Fate: queue.Filtered, Reason: "x"}, {Start: 22, End: 23, Fate: queue.Dead, Reason: "refused", Letter: letter},
		},
	})
	require.NoError(t, err)
	_, err = q.Append(t.Context(), queue.Batch{
		Body: []byte(`5,6`), ReceivedAt: at, Items: []queue.Item{{Start: 0, End: 1}, {Start: 2, End: 3}}, // short, so that no packer packs it
	})
	require.NoError(t, err)
	records, err := q.Fetch(t.Context(), queue.Limit{Events: 9, Bytes: 1 << 20})
	require.NoError(t, err)
	require.NoError(t, q.Settle(t.Context(), queue.Settlement{
		Delivered: []queue.Span{{Seq: records[0].Seq, First: 0, Last: 1}},
		Dead:      []queue.DeadEvent{{Seq: records[1].Seq, Index: 1, Reason: "refused", Status: 413, Answer: "large", Attempts: 1}},
	}))
	q.Release(records...)
	_, err = q.StartReplay(t.Context(), queue.ReplayOrder{From: at.Add(-time.Hour), Types: []string{"a.*", "b"}, Rate: 0.5})
	require.NoError(t, err)
	got := dump(t, q)
	_, err = q.Erase(t.Context(), func(event []byte) bool { return string(event) == `"two"` })
	require.NoError(t, err)
	got += "erased:\n" + dump(t, q)

	file := filepath.Join("testdata", "golden.txt")
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// dump returns all that the store holds of a connector, as text.
func dump(t *testing.T, q *connQueue) string {
	t.Helper()
	var b strings.Builder
	for _, kind := range []byte{keyDead, keyIDs, keyMissed, keyPartial, keyRecord, keyReplay} {
		it, err := q.store.db.NewIter(&pebble.IterOptions{LowerBound: connKey(kind, q.conn), UpperBound: connKey(kind, q.conn+1)})
		require.NoError(t, err)
		for ok := it.First(); ok; ok = it.Next() {
			fmt.Fprintf(&b, "%c %s = %s\n", kind, hex.EncodeToString(it.Key()[1:]), hex.EncodeToString(it.Value()))
		}
		require.NoError(t, it.Close())
	}
	return b.String()
}

// A letter whose end is missing is damage, and ends nothing.
func TestShortLetter(t *testing.T) {
	key := seqKey(keyDead, 1, 1)
	d := deadLetter{DeadLetter: queue.DeadLetter{Number: 1, Reason: "refused", Answer: "no", Event: []byte("4")}}
	value := d.append(appendSeal(nil, key))
	for n := len(value) - 2; n > len(appendSeal(nil, key)); n-- {
		_, err := parseLetter(1, value[:n:n])
		require.ErrorIs(t, err, queue.ErrDamaged, "%d bytes of it", n)
	}
}
