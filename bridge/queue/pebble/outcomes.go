package pebble

import (
	"fmt"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

// miss notes that an event has another outcome than delivered.
func (l *lease) miss(i int) {
	if len(l.missed) == 0 {
		l.missed = l.missed.Sized(len(l.spans))
	}
	l.missed.Set(i)
}

// outcomes is what a partial value holds, as a copy.
func (l *lease) outcomes() wire.Bitset {
	return append(append(make(wire.Bitset, 0, len(l.settled)+len(l.missed)), l.settled...), l.missed...)
}

// split takes settled, which holds a partial value as it was read, apart. The
// number of events must be known.
func (l *lease) split() error {
	settled, missed, err := splitPartial(l.settled, len(l.spans))
	if err != nil {
		return err
	}
	l.missed = append(l.missed[:0], missed...)
	l.settled = settled
	return nil
}

// splitPartial takes a partial value of a record of n events apart.
func splitPartial(bits wire.Bitset, n int) (settled, missed wire.Bitset, err error) {
	size := wire.Words(n)
	if len(bits) != size && len(bits) != 2*size {
		return nil, nil, fmt.Errorf("its outcomes: %w", wire.ErrDamaged)
	}
	return bits[:size], bits[size:], nil
}

// isDone tells whether all events of the record have an outcome.
func (s *state) isDone(seq uint64) bool { return s.open(seq) > seq }
