package jetstream

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/klauspost/compress/s2"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

// totalsVersion is the format of stored totals and segments; a newer one is refused.
const totalsVersion = 1

var errNewer = fmt.Errorf("written by a bridge of a newer version, use that one: %w", queue.ErrNewerFormat)

// encode returns the totals as they are stored. Of the pending records it holds
// those up to the newest of which anything has an outcome: what came later is
// pending as it came, and is read again from the stream.
func (t *totals) encode() []byte {
	l := &t.ledger
	dst := []byte(nil)
	for _, v := range [...]uint64{
		t.seq, l.Received, l.Duplicates, l.Accepted, l.Filtered, l.Delivered, l.Dead, l.Purged, l.Replayed,
		t.touched, t.nextDead, uint64(t.deadBytes), t.owner, t.ids,
	} {
		dst = binary.AppendUvarint(dst, v)
	}
	dst = appendNumbers(dst, slices.Sorted(maps.Keys(t.gone)))
	dst = t.replay.Append(dst)
	dst = appendMarks(appendMarks(dst, t.idMarks), t.ages)
	last := uint64(0)
	for i := range t.pending.items {
		it := &t.pending.items[i]
		if it.seq > t.touched {
			break
		}
		if it.left == 0 {
			continue
		}
		dst = binary.AppendUvarint(dst, it.seq-last)
		last = it.seq
		dst = binary.AppendVarint(dst, it.received)
		dst = binary.AppendUvarint(dst, uint64(it.events))
		dst = binary.AppendUvarint(dst, uint64(it.size))
		if it.part == nil {
			dst = append(dst, 0)
			continue
		}
		dst = appendBits(append(dst, 1), it.part.settled)
		dst = appendBits(dst, it.part.missed)
	}
	dst = binary.AppendUvarint(dst, 0) // no record follows at no distance
	return s2.Encode(nil, append([]byte{totalsVersion}, dst...))
}

func parseTotals(value []byte) (totals, error) {
	data, err := unpack(value)
	if err != nil {
		return totals{}, fmt.Errorf("stored totals: %w", err)
	}
	r := wire.Reader{Data: data}
	t := newTotals()
	l := &t.ledger
	var deadBytes uint64
	for _, v := range [...]*uint64{
		&t.seq, &l.Received, &l.Duplicates, &l.Accepted, &l.Filtered, &l.Delivered, &l.Dead, &l.Purged, &l.Replayed,
		&t.touched, &t.nextDead, &deadBytes, &t.owner, &t.ids,
	} {
		*v = r.Uint()
	}
	t.deadBytes = int64(deadBytes)
	for _, n := range readNumbers(&r) {
		t.gone[n] = struct{}{}
	}
	t.replay = r.Replay()
	t.idMarks, t.ages = readMarks(&r), readMarks(&r)
	for seq := r.Uint(); seq > 0 && !r.Bad; {
		it := item{seq: seq, received: r.Int(), events: uint32(r.Length(maxEvents)), size: uint32(r.Length(math.MaxInt32))}
		it.left = it.events
		if r.Byte() == 1 {
			it.part = &part{settled: readBits(&r, int(it.events)), missed: readBits(&r, int(it.events))}
			for i := range int(it.events) {
				if it.part.settled.Has(i) {
					it.left--
				}
			}
			if n := wire.Words(int(it.events)); n == 0 || len(it.part.settled) != n || len(it.part.missed)%n != 0 {
				r.Bad = true
			}
		}
		t.pending.add(it)
		step := r.Uint()
		if step == 0 {
			break
		}
		seq += step
	}
	if r.Bad {
		return totals{}, fmt.Errorf("stored totals: %w", wire.ErrDamaged)
	}
	return t, nil
}

// encode returns what is fresh of it as a segment.
func (s *side) encode(fresh []note) []byte {
	dst := []byte{totalsVersion}
	for _, n := range fresh {
		if bits, ok := s.missed[n.seq]; ok {
			dst = appendBits(binary.AppendUvarint(append(dst, 1), n.seq), bits)
		}
		if at, ok := s.rewritten[n.seq]; ok {
			dst = binary.AppendUvarint(binary.AppendUvarint(append(dst, 2), n.seq), at)
		}
	}
	return s2.Encode(nil, dst)
}

// read adds a segment.
func (s *side) read(value []byte) error {
	data, err := unpack(value)
	if err != nil {
		return fmt.Errorf("segment: %w", err)
	}
	r := wire.Reader{Data: data}
	for len(r.Data) > 0 && !r.Bad {
		switch r.Byte() {
		case 1:
			seq := r.Uint()
			s.missed[seq] = readBits(&r, maxEvents)
		case 2:
			seq, at := r.Uint(), r.Uint()
			s.rewritten[seq] = max(s.rewritten[seq], at)
		default:
			r.Bad = true
		}
	}
	if r.Bad {
		return fmt.Errorf("segment: %w", wire.ErrDamaged)
	}
	return nil
}

// unpack takes compression and version off.
func unpack(value []byte) ([]byte, error) {
	n, err := s2.DecodedLen(value)
	if err != nil || n > wire.MaxBody || n == 0 {
		return nil, wire.ErrDamaged
	}
	data, err := s2.Decode(nil, value)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", wire.ErrDamaged, err)
	}
	if data[0] != totalsVersion {
		return nil, errNewer
	}
	return data[1:], nil
}

func appendBits(dst []byte, bits wire.Bitset) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(bits)))
	for _, w := range bits {
		dst = binary.AppendUvarint(dst, w)
	}
	return dst
}

// readBits reads a set for n events, or at most so many.
func readBits(r *wire.Reader, n int) wire.Bitset {
	words := r.Length(min(wire.Words(n), len(r.Data)))
	if words == 0 {
		return nil
	}
	bits := make(wire.Bitset, words)
	for i := range bits {
		bits[i] = r.Uint()
	}
	return bits
}

func appendMarks(dst []byte, marks []mark) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(marks)))
	for _, m := range marks {
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, m.seq), m.value)
	}
	return dst
}

func readMarks(r *wire.Reader) (marks []mark) {
	for n := r.Length(len(r.Data)); n > 0 && !r.Bad; n-- {
		marks = append(marks, mark{r.Uint(), r.Uint()})
	}
	return marks
}
