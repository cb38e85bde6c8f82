package body

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A body of several parts is read back; wherever a bit is flipped, that is found.
func TestBodyInParts(t *testing.T) {
	events := [][]byte{[]byte("first"), {}, []byte("third, and third, and third, and third")}
	data := Append(Append(nil, 7, 8, NewEvents(events[:2]...)), 7, 9, NewEvents(events[2:]...))
	b, err := Decode(data)
	require.NoError(t, err)
	require.Len(t, b.Lengths, 3)
	for i, e := range events {
		require.Equal(t, string(e), string(b.Split()[i]))
	}
	require.Equal(t, int64(7), b.Connector)
	for at := range len(data) * 8 {
		data[at/8] ^= 1 << (at % 8)
		_, err := Decode(data)
		require.ErrorIs(t, err, ErrDamaged, at)
		data[at/8] ^= 1 << (at % 8)
	}
	for cut := range data {
		if b, err := Decode(data[:cut]); err == nil {
			require.Len(t, b.Lengths, 2, "only between two parts, and then the record has more events")
		}
	}
}
