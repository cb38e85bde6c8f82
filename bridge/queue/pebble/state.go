package pebble

import (
	"encoding/binary"
	"slices"
	"sort"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

// totals is what a connector's queue knows of itself. It is small and written
// whole with every commit, so that at each commit of the log, and so after any
// crash, it says exactly what the records there say.
type totals struct {
	next     uint64 // seq of the next record
	low      uint64 // every record below has all of its outcomes
	nextDead uint64 // number of the next dead letter
	stored   uint64 // bytes of all records ever stored
	done     uint64 // bytes of the records below low
	ledger   queue.Ledger
}

// state is totals with the records that were done out of order.
type state struct {
	totals
	ahead []run // above low, in order, none touches another or low
}

// run is a range of records, from (included) to to (not included), all of whose
// events have an outcome.
type run struct {
	from, to, bytes uint64
}

func newState() state {
	return state{totals: totals{next: 1, low: 1, nextDead: 1}}
}

// complete notes that the record seq of size bytes has all of its outcomes.
func (s *state) complete(seq, size uint64) {
	if seq == s.low {
		s.low++
		s.done += size
		if len(s.ahead) > 0 && s.ahead[0].from == s.low {
			s.low = s.ahead[0].to
			s.done += s.ahead[0].bytes
			s.ahead = slices.Delete(s.ahead, 0, 1)
		}
		return
	}
	i := sort.Search(len(s.ahead), func(i int) bool { return s.ahead[i].from > seq })
	before := i > 0 && s.ahead[i-1].to == seq
	after := i < len(s.ahead) && s.ahead[i].from == seq+1
	switch {
	case before && after:
		s.ahead[i-1].to = s.ahead[i].to
		s.ahead[i-1].bytes += size + s.ahead[i].bytes
		s.ahead = slices.Delete(s.ahead, i, i+1)
	case before:
		s.ahead[i-1].to++
		s.ahead[i-1].bytes += size
	case after:
		s.ahead[i].from--
		s.ahead[i].bytes += size
	default:
		s.ahead = slices.Insert(s.ahead, i, run{from: seq, to: seq + 1, bytes: size})
	}
}

// open returns the first record from seq on that is not done.
func (s *state) open(seq uint64) uint64 {
	seq = max(seq, s.low)
	i := sort.Search(len(s.ahead), func(i int) bool { return s.ahead[i].to > seq })
	if i < len(s.ahead) && s.ahead[i].from <= seq {
		return s.ahead[i].to
	}
	return seq
}

const stateVersion = 1

func (s *state) append(dst []byte) []byte {
	dst = append(dst, stateVersion)
	for _, v := range [...]uint64{
		s.next, s.low, s.nextDead, s.stored, s.done,
		s.ledger.Received, s.ledger.Duplicates, s.ledger.Accepted, s.ledger.Filtered,
		s.ledger.Delivered, s.ledger.Dead, s.ledger.Purged, s.ledger.Replayed,
		uint64(len(s.ahead)),
	} {
		dst = binary.AppendUvarint(dst, v)
	}
	at := s.low
	for _, r := range s.ahead {
		dst = binary.AppendUvarint(dst, r.from-at)
		dst = binary.AppendUvarint(dst, r.to-r.from)
		dst = binary.AppendUvarint(dst, r.bytes)
		at = r.to
	}
	return dst
}

func parseState(value []byte) (state, error) {
	var s state
	r := wire.Reader{Data: value}
	if r.Byte() != stateVersion {
		return s, wire.ErrDamaged
	}
	var runs uint64
	for _, v := range [...]*uint64{
		&s.next, &s.low, &s.nextDead, &s.stored, &s.done,
		&s.ledger.Received, &s.ledger.Duplicates, &s.ledger.Accepted, &s.ledger.Filtered,
		&s.ledger.Delivered, &s.ledger.Dead, &s.ledger.Purged, &s.ledger.Replayed,
		&runs,
	} {
		*v = r.Uint()
	}
	at := s.low
	for ; runs > 0 && !r.Bad; runs-- {
		var next run
		next.from = at + r.Uint()
		next.to = next.from + r.Uint()
		next.bytes = r.Uint()
		if next.from < at || next.to < next.from || next.to > s.next {
			return state{}, wire.ErrDamaged
		}
		at = next.to
		s.ahead = append(s.ahead, next)
	}
	if r.Err() != nil || s.low > s.next {
		return state{}, wire.ErrDamaged
	}
	return s, nil
}
