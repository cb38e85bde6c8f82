package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// account makes a connector's ledger fit what was found of its queue.
type account struct {
	*salvage
	conn   uint32
	name   string
	state  state
	known  bool // the totals were found
	result RepairedConnector

	found   uint64     // pending events of records that can be read
	missing []interval // records that must be pending and cannot be read
	letters uint64     // dead letters that can be read
	blank   []uint64   // numbers of dead letters that are known and cannot be read
	at      time.Time  // when a record next to the missing ones was received
}

// rebuild writes what is not a record, ids or a letter, and with it the books.
func (s *salvage) rebuild(ctx context.Context) error {
	if err := s.applyDeletes(); err != nil {
		return err
	}
	names, err := s.connectors()
	if err != nil {
		return err
	}
	if err := s.rebuildMeta(names); err != nil {
		return err
	}
	for _, conn := range slices.Sorted(maps.Keys(names)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		a := &account{salvage: s, conn: conn, name: names[conn], result: RepairedConnector{Name: names[conn]}}
		if err := a.settle(); err != nil {
			return fmt.Errorf("connector %q: %w", a.name, err)
		}
		s.report.Connectors = append(s.report.Connectors, a.result)
	}
	if err := errors.Join(
		s.db.DeleteRange([]byte{keyFact}, []byte{keyFact + 1}, pebble.NoSync),
		s.db.Flush(),
	); err != nil {
		return fmt.Errorf("write the new store: %w", err)
	}
	return nil
}

// ownKinds are the other kinds of keys that belong to a connector.
const ownKinds = string(keyState) + string(keyGone) + string(keyMark) + string(keyPartial) + string(keyReplay)

// isOwn tells whether a small key is of a connector, other than its name.
func isOwn(key string) bool {
	return len(key) >= connKeyLen && strings.IndexByte(ownKinds, key[0]) >= 0
}

// connectors finds all connectors by number, with their names.
func (s *salvage) connectors() (map[uint32]string, error) {
	names := map[uint32]string{}
	for key, v := range s.small {
		if key[0] == keyName && len(v.value) == 4 {
			names[binary.BigEndian.Uint32(v.value)] = key[1:]
		}
	}
	add := func(conn uint32) {
		if _, ok := names[conn]; !ok {
			names[conn] = fmt.Sprintf("recovered-%d", conn)
			s.changed = true
			s.estimate("the name of connector number %d is lost; it is called %s now", conn, names[conn])
		}
	}
	for key, v := range s.small {
		if isOwn(key) && v.value != nil {
			add(binary.BigEndian.Uint32([]byte(key[1:])))
		}
	}
	for _, kind := range []byte(bigKinds) {
		for conn := uint32(0); ; conn++ {
			key, err := s.firstFact(connKey(kind, conn), []byte{kind + 1})
			if err != nil {
				return nil, err
			}
			if key == nil {
				break
			}
			conn = binary.BigEndian.Uint32(key[1:])
			add(conn)
		}
	}
	return names, nil
}

// rebuildMeta writes what belongs to the whole store, and the keys of kinds that
// need no account.
func (s *salvage) rebuildMeta(names map[uint32]string) error {
	b := s.db.NewBatch()
	defer b.Close()
	last := uint32(0)
	for conn, name := range names {
		last = max(last, conn)
		if err := b.Set(nameKey(name), binary.BigEndian.AppendUint32(nil, conn), nil); err != nil {
			return err
		}
	}
	if v := s.newest(metaKey(metaLast)); len(v) == 4 {
		last = max(last, binary.BigEndian.Uint32(v))
	}
	if v, _ := binary.Uvarint(s.newest(metaKey(metaFormat))); v > layout {
		return fmt.Errorf("%s: %w: layout %d, known is %d", s.dir, queue.ErrNewerFormat, v, layout)
	}
	id := s.newest(metaKey(metaStore))
	if len(id) != len(uuid.UUID{}) {
		fresh, err := uuid.NewRandom()
		if err != nil {
			return fmt.Errorf("name the store: %w", err)
		}
		id, s.changed = fresh[:], true
		s.estimate("the name of the store is lost; events without an id of their own get other messageIds than before")
	}
	err := errors.Join(
		b.Set(metaKey(metaFormat), binary.AppendUvarint(nil, layout), nil),
		b.Set(metaKey(metaStore), id, nil),
		b.Set(metaKey(metaLast), binary.BigEndian.AppendUint32(nil, last), nil),
	)
	for key, v := range s.small {
		switch key[0] {
		case keyName, keyMeta, keyState, keyPartial:
			continue
		}
		if value := s.newest([]byte(key)); value != nil && v.value != nil {
			err = errors.Join(err, b.Set([]byte(key), value, nil))
		}
	}
	return errors.Join(err, b.Commit(pebble.NoSync))
}

// settle works out a connector's books and writes them.
func (a *account) settle() error {
	a.state = newState()
	if value := a.newest(connKey(keyState, a.conn)); value != nil {
		st, err := parseState(value)
		if err == nil {
			a.state, a.known = st, true
		}
	}
	if !a.known {
		if err := a.loseTotals(); err != nil {
			return err
		}
	}
	if err := a.forgetHistory(); err != nil {
		return err
	}
	if err := a.countRecords(); err != nil {
		return err
	}
	if err := a.sortOutMissed(); err != nil {
		return err
	}
	if err := a.countLetters(); err != nil {
		return err
	}
	a.balancePending()
	a.balanceDead()
	if err := a.writeLetters(); err != nil {
		return err
	}
	a.result.Dead, a.result.Pending = a.state.ledger.Dead, a.state.ledger.Pending()
	if err := a.db.Set(connKey(keyState, a.conn), a.state.append(nil), pebble.NoSync); err != nil {
		return fmt.Errorf("write the new store: %w", err)
	}
	return nil
}

// loseTotals begins without totals. A connector that never took anything has
// none, and that is as it should be.
func (a *account) loseTotals() error {
	untouched, err := a.isUntouched()
	if err != nil || untouched {
		return err
	}
	a.changed = true
	a.estimate("connector %s: its totals are lost; they are counted anew from what is there", a.name)
	// What is before a mark in history is done.
	m := a.newestMark(a.conn)
	a.state.next, a.state.low, a.state.stored, a.state.done = m.seq, m.seq, m.bytes, m.bytes
	return nil
}

// isUntouched tells whether a connector has a name and nothing else, while all
// else could be read: where it could not, what is missing may be what it had.
func (a *account) isUntouched() (bool, error) {
	if a.report.Places > 0 || a.doubted {
		return false, nil
	}
	for key := range a.small {
		if isOwn(key) && binary.BigEndian.Uint32([]byte(key[1:])) == a.conn {
			return false, nil
		}
	}
	for prefix := range a.deleted {
		if binary.BigEndian.Uint32([]byte(prefix[1:])) == a.conn {
			return false, nil
		}
	}
	for _, kind := range []byte(bigKinds) {
		if key, err := a.firstFact(connKey(kind, a.conn), connKey(kind, a.conn+1)); key != nil || err != nil {
			return false, err
		}
	}
	return true, nil
}

// forgetHistory drops records that history had given up.
func (a *account) forgetHistory() error {
	value := a.newest(connKey(keyGone, a.conn))
	if value == nil {
		return nil
	}
	m, err := parseMark(value)
	if err != nil {
		return nil // was noted when it was read
	}
	gone := interval{0, min(m.seq, a.state.low)}
	return errors.Join(a.forget(keyRecord, a.conn, gone), a.forget(keyMissed, a.conn, gone))
}

// balancePending brings what the ledger calls pending and what is there together.
func (a *account) balancePending() {
	l := &a.state.ledger
	if !a.known && l.Accepted == 0 {
		return
	}
	pending := l.Pending()
	switch {
	case pending > math.MaxInt64: // the totals themselves do not add up
		l.Accepted += -pending + a.found
		l.Received += -pending + a.found
		a.changed = true
		a.estimate("connector %s: its totals did not add up; accepted and received were raised", a.name)
	case pending > a.found && len(a.missing) > 0:
		a.result.Lost = pending - a.found
		l.Dead += a.result.Lost
		a.changed = true
	case pending > a.found:
		a.changed = true
		l.Delivered += pending - a.found
		a.estimate("connector %s: %d events have an outcome that is not known; they count as delivered", a.name, pending-a.found)
	case pending < a.found:
		a.changed = true
		a.result.Again = a.found - pending
		a.take(a.result.Again, &l.Delivered, &l.Filtered, &l.Purged)
		a.estimate("connector %s: the outcome of %d events is lost; they will be delivered again", a.name, a.result.Again)
	}
}

// take takes n away from the counts, and where they are too small counts more as
// accepted.
func (a *account) take(n uint64, counts ...*uint64) {
	for _, c := range counts {
		part := min(n, *c)
		*c -= part
		n -= part
	}
	a.state.ledger.Accepted += n
	a.state.ledger.Received += n
}
