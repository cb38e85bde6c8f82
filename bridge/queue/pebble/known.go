package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// meet gives upkeep the queues of all connectors that the store knows, also of
// those that nobody opens any more: their history is kept and given up by the
// same rules. It reads a few small values for each. A queue that cannot be read
// is left alone; Open says what is the matter with it.
func (s *Store) meet() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyName}, UpperBound: []byte{keyName + 1}})
	if err != nil {
		return fmt.Errorf("read connectors: %w", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		name := string(it.Key()[1:])
		if len(it.Value()) != 4 {
			s.opts.Logger.Error("the number of a connector is damaged; its history is left alone", "name", name)
			continue
		}
		q, err := openQueue(s, binary.BigEndian.Uint32(it.Value()), name)
		if err != nil {
			s.opts.Logger.Error("a connector's queue cannot be read; its history is left alone", "name", name, "error", err)
			continue
		}
		s.all = append(s.all, q)
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return fmt.Errorf("read connectors: %w", err)
	}
	return nil
}

// wake opens a queue, which upkeep knows already unless it is new. mu is held.
func (s *Store) wake(name string, conn uint32, window int) error {
	i := slices.IndexFunc(s.all, func(q *connQueue) bool { return q.conn == conn })
	if i >= 0 {
		if err := s.all[i].wake(window); err != nil {
			return err
		}
		s.queues[name] = s.all[i]
		return nil
	}
	q, err := openQueue(s, conn, name)
	if err != nil {
		return err
	}
	if err := q.wake(window); err != nil {
		return err
	}
	s.queues[name] = q
	s.all = append(s.all, q)
	return nil
}
