package pebble

// idSize is the size of an id in the store.
const idSize = 16

// idMarks knows, about, which record an id of the window belongs to, by the
// window's positions: ids of older records than the oldest in the window need
// not be kept. It is small: one mark for many ids.
type idMarks struct {
	every uint64
	marks []idMark
}

type idMark struct {
	pos, seq uint64
}

func newIDMarks(limit int) idMarks {
	return idMarks{every: uint64(limit/64 + 1)}
}

// add notes that the ids from pos on belong to seq and later records.
func (m *idMarks) add(pos, seq uint64) {
	if n := len(m.marks); n == 0 || pos >= m.marks[n-1].pos+m.every {
		m.marks = append(m.marks, idMark{pos, seq})
	}
}

// cut returns a record before which all ids are out of a window whose oldest
// position is first, and forgets what it no longer needs.
func (m *idMarks) cut(first uint64) uint64 {
	i := 0
	for i+1 < len(m.marks) && m.marks[i+1].pos <= first {
		i++
	}
	m.marks = m.marks[i:]
	if len(m.marks) == 0 || m.marks[0].pos > first {
		return 0
	}
	return m.marks[0].seq
}
