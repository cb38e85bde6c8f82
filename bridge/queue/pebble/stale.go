package pebble

import (
	"context"
	"encoding/binary"
)

// lookAtLog finds out whether what a log holds is in the tables already. Pebble
// keeps such logs to use their files again. What they say is older than what
// the tables say, whatever the numbers of the changes: the oldest tables have
// none, and the deletes that belong there may be gone.
func (s *salvage) lookAtLog(ctx context.Context, f rawFile, newest string) error {
	totalsSeen, stale := false, true
	r := &rawReader{
		fs: s.opts.FS, dir: s.dir, newest: newest,
		damage: func(Damage) {}, // met when it is read for good
		pace:   func(ctx context.Context, _ int) error { return ctx.Err() },
		entry: func(e rawEntry) error {
			if len(e.key) != connKeyLen || e.key[0] != keyState || !e.isSet() {
				return nil
			}
			totalsSeen = true
			stale = stale && progressOf(e.value) <= progressOf(s.small[string(e.key)].value)
			return nil
		},
	}
	if err := r.read(ctx, f); err != nil {
		return err
	}
	s.stale = totalsSeen && stale
	return nil
}

// isNewer tells whether a change is newer than one that was met before. Totals
// and places in history only ever grow, which is a surer sign than a number.
func (s *salvage) isNewer(e rawEntry, old version) bool {
	if s.stale {
		return false
	}
	if e.isSet() && old.value != nil && len(e.key) == connKeyLen {
		switch e.key[0] {
		case keyState:
			return progressOf(e.value) > progressOf(old.value)
		case keyGone:
			return markedAt(e.value) > markedAt(old.value)
		}
	}
	return e.seq > old.seq
}

// progressOf is how far totals are; 0: they cannot be read.
func progressOf(value []byte) uint64 {
	st, err := parseState(value)
	if err != nil {
		return 0
	}
	return st.progress()
}

func markedAt(value []byte) uint64 {
	m, err := parseMark(value)
	if err != nil {
		return 0
	}
	return m.seq
}

// isHere tells whether a value of a key is in the new store.
func (s *salvage) isHere(key []byte) (bool, error) {
	f, _, err := s.fact(key)
	return f.have && !f.deleted, err
}

// newestMark is the latest place in a connector's history that is known.
func (s *salvage) newestMark(conn uint32) mark {
	newest := mark{seq: 1}
	gone := connKey(keyGone, conn)
	if m, err := parseMark(s.newest(gone)); err == nil {
		newest = m
	}
	for key, v := range s.small {
		if len(key) != seqKeyLen || key[0] != keyMark || binary.BigEndian.Uint32([]byte(key[1:])) != conn || v.value == nil {
			continue
		}
		if m, err := parseMark(v.value); err == nil && m.seq > newest.seq {
			newest = m
		}
	}
	return newest
}
