package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// checkOrphans looks into the tables that Pebble has no use for and is about to
// delete, as after a crash. What they hold must be in the store: it is not where
// the manifest has lost the lines that name them.
func (s *Store) checkOrphans(before []rawFile) error {
	levels, err := s.db.SSTables()
	if err != nil {
		return fmt.Errorf("list the tables in use: %w", err)
	}
	used := map[uint64]bool{}
	for _, level := range levels {
		for _, t := range level {
			used[uint64(t.BackingSSTNum)] = true
			used[uint64(t.FileNum)] = true
		}
	}
	for _, f := range before {
		if f.kind != tableFile || used[f.number] {
			continue
		}
		if err := s.checkOrphan(f); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) checkOrphan(f rawFile) error {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return fmt.Errorf("look into %s: %w", f.name, err)
	}
	gone := map[uint32]uint64{}
	r := s.reader()
	r.damage = func(Damage) {} // nobody needs it
	r.entry = func(e rawEntry) error {
		seq, ok := seqOf(e.key)
		if !ok || e.key[0] != keyRecord || !e.isSet() {
			return nil
		}
		if it.SeekGE(e.key) && string(it.Key()) == string(e.key) {
			return nil
		}
		if err := it.Error(); err != nil {
			if isDamage(err) {
				return nil // it is named when it is needed
			}
			return err
		}
		conn := binary.BigEndian.Uint32(e.key[1:])
		if _, ok := gone[conn]; !ok {
			gone[conn] = s.goneBefore(conn)
		}
		if seq < gone[conn] {
			return nil
		}
		return fmt.Errorf("%s: %w: the MANIFEST has lost the lines that name %s, which holds record %d of connector %d; %s",
			s.dir, queue.ErrDamaged, f.name, seq, conn, s.remedy())
	}
	return errors.Join(r.read(context.Background(), f), it.Close())
}

// goneBefore is the record before which history was given up.
func (s *Store) goneBefore(conn uint32) uint64 {
	value, closer, err := s.lookup(connKey(keyGone, conn))
	if err != nil {
		return 0 // there is none, or it is named when it is needed
	}
	defer closer.Close()
	m, err := parseMark(value)
	if err != nil {
		return 0
	}
	return m.seq
}
