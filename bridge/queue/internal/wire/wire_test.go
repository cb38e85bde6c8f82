package wire

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func TestReader(t *testing.T) {
	at := time.Unix(1_700_000_000, 5)
	value := AppendTime(AppendTime(AppendBytes(binary.AppendVarint(binary.AppendUvarint([]byte{7}, 300), -300), []byte("abc")), time.Time{}), at)
	r := Reader{Data: value}
	require.Equal(t, byte(7), r.Byte())
	require.Equal(t, uint64(300), r.Uint())
	require.Equal(t, int64(-300), r.Int())
	require.Equal(t, "abc", string(r.Bytes()))
	require.True(t, r.Time().IsZero())
	require.True(t, at.Equal(r.Time()))
	require.NoError(t, r.Err())
	require.Empty(t, r.Data)
	for n := range value { // cut short anywhere, it is seen
		r := Reader{Data: value[:n]}
		_, _, _, _, _, _ = r.Byte(), r.Uint(), r.Int(), r.Bytes(), r.Time(), r.Time()
		require.ErrorIs(t, r.Err(), queue.ErrDamaged, "%d bytes of it", n)
	}
	r = Reader{Data: binary.AppendUvarint(nil, 10)}
	require.Zero(t, r.Length(9))
	r.Data = []byte{1, 1, 1, 1}
	require.Zero(t, r.Uint(), "nothing is read after what was bad")
	require.Zero(t, r.Byte())
	require.Empty(t, r.Bytes())
	require.ErrorIs(t, r.Err(), ErrDamaged)
}

func TestBitset(t *testing.T) {
	for n, words := range map[int]int{0: 0, 1: 1, 64: 1, 65: 2} {
		require.Equal(t, words, Words(n))
	}
	b := Bitset(nil).Sized(70)
	b.Set(0)
	b.Set(69)
	for i := range 200 {
		require.Equal(t, i == 0 || i == 69, b.Has(i), i)
	}
	require.Equal(t, Bitset{0}, b.Sized(3), "in the same memory, and empty")
}

func TestShorten(t *testing.T) {
	require.Equal(t, "short", Shorten("short"))
	got := Shorten(strings.Repeat("x", queue.MaxAnswer-1) + "ä")
	require.Len(t, got, queue.MaxAnswer-1, "no half of a letter")
}

// golden is a record that an earlier version wrote: `{"events":[1,"two",33,4]}`
// without its last bracket, of which the third is filtered and the fourth dead.
const golden = "018aa095de87bcce972f041601020502020201020201020301031919607b226576656e7473223a5b312c2274776f222c33332c345d7d"

func TestRecord(t *testing.T) {
	value, err := hex.DecodeString(golden)
	require.NoError(t, err)
	h, err := ParseHeader(value, nil)
	require.NoError(t, err)
	require.True(t, time.Unix(1_699_999_940, 5).Equal(h.Received))
	at, err := ReceivedAt(value)
	require.NoError(t, err)
	require.Equal(t, h.Received, at)
	want := []Span{{11, 12, queue.Pending}, {13, 18, queue.Pending}, {19, 21, queue.Filtered}, {22, 23, queue.Dead}}
	require.Equal(t, want, h.Spans)
	body, err := h.Unpack(nil)
	require.NoError(t, err)
	require.Equal(t, `{"events":[1,"two",33,4]}`, string(body))
	require.Equal(t, value[:len(value)-len(h.Packed)], AppendHeader(nil, h.Received, h.Spans, len(body)))
	require.False(t, h.Strays(body))
	for n := range len(value) - len(h.Packed) {
		_, err := ParseHeader(value[:n], nil)
		require.ErrorIs(t, err, queue.ErrDamaged, "%d bytes of it", n)
	}
	_, err = Header{Body: len(body), Packed: h.Packed[:5]}.Unpack(nil)
	require.ErrorIs(t, err, queue.ErrDamaged)

	h.Spans[1].Fate = Erased
	h, err = ParseHeader(h.Without(nil, body), nil)
	require.NoError(t, err)
	require.Equal(t, []Span{{0, 1, queue.Pending}, {1, 1, Erased}, {1, 3, queue.Filtered}, {3, 4, queue.Dead}}, h.Spans)
	body, err = h.Unpack(body)
	require.NoError(t, err)
	require.Equal(t, "1334", string(body))
}

// A record's body may hold events that nothing points to, which were duplicates.
func TestStrays(t *testing.T) {
	for body, strays := range map[string]bool{
		`{"events":[1, 2]}`:         false,
		` {"events": [1,` + "\n2]}": false,
		`{"events":[1,2,{"id":3}]}`: true,
		`{"events":[1,33333,2]}`:    true,
	} {
		one, two := strings.Index(body, "1"), strings.LastIndex(body, "2")
		h := Header{Spans: []Span{{Start: one, End: one + 1}, {Start: two, End: two + 1}}}
		require.Equal(t, strays, h.Strays([]byte(body)), body)
	}
}

func TestReplay(t *testing.T) {
	at := time.Unix(1_700_000_000, 5)
	r := Replay{End: 9, Replay: queue.Replay{
		Number: 2, Next: 1, StartedAt: at, Replayed: 4, Refused: 5, Skipped: 6,
		Order: queue.ReplayOrder{From: at, Types: []string{"a.*", ""}, Rate: 0.5},
	}}
	value := r.Append(nil)
	got := Reader{Data: value}
	require.Equal(t, r, got.Replay())
	require.NoError(t, got.Err())
	short := Reader{Data: value[:len(value)-1]}
	short.Replay()
	require.Error(t, short.Err())
	r.Copy().Order.Types[0] = "changed"
	require.Equal(t, "a.*", r.Order.Types[0])
}

func TestEvent(t *testing.T) {
	for _, event := range []string{"", "4", strings.Repeat("6", 1000)} {
		value := AppendEvent(nil, []byte(event))
		require.LessOrEqual(t, len(value), len(event)+1)
		r := Reader{Data: value}
		got, err := r.Event()
		require.NoError(t, err)
		require.Equal(t, event, string(got))
	}
	for _, value := range [][]byte{nil, {2, 'x'}, {packed}, {packed, 9, 1}} {
		r := Reader{Data: value}
		_, err := r.Event()
		require.ErrorIs(t, err, queue.ErrDamaged, "%v", value)
	}
	r := Reader{Bad: true, Data: []byte{plain, 'x'}}
	_, err := r.Event()
	require.ErrorIs(t, err, queue.ErrDamaged, "what came before could not be read")
}
