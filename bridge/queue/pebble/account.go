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
		if len(key) >= connKeyLen && v.value != nil && strings.IndexByte("sghp", key[0]) >= 0 {
			add(binary.BigEndian.Uint32([]byte(key[1:])))
		}
	}
	for _, kind := range []byte{keyRecord, keyIDs, keyDead} {
		for conn := uint32(0); ; conn++ {
			it, err := s.db.NewIter(&pebble.IterOptions{
				LowerBound: factKey(connKey(kind, conn)), UpperBound: factKey([]byte{kind + 1}),
			})
			if err != nil {
				return nil, fmt.Errorf("read the new store: %w", err)
			}
			ok := it.First()
			if ok {
				conn = binary.BigEndian.Uint32(it.Key()[2:])
				add(conn)
			}
			if err := errors.Join(it.Error(), it.Close()); err != nil {
				return nil, err
			}
			if !ok {
				break
			}
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
		a.changed = true
		a.estimate("connector %s: its totals are lost; they are counted anew from what is there", a.name)
	}
	if err := a.forgetHistory(); err != nil {
		return err
	}
	if err := a.countRecords(); err != nil {
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
	return a.forget(keyRecord, a.conn, interval{0, min(m.seq, a.state.low)})
}

// countRecords walks over the records. What the totals say is pending and is not
// there is missing; what is newer than the totals is added to them.
func (a *account) countRecords() error {
	expect := a.state.low
	limit := a.state.next
	var newer []uint64
	err := a.facts(keyRecord, a.conn, func(seq uint64, f fact) error {
		if seq < a.state.low || !f.have {
			return nil
		}
		settled := parseBitset(a.newest(seqKey(keyPartial, a.conn, seq)))
		if seq >= limit {
			newer = append(newer, seq)
			a.addRecord(seq, f, settled)
			return nil
		}
		if a.state.open(seq) != seq {
			return nil
		}
		a.at = f.received
		a.found += uint64(f.open(settled))
		a.miss(expect, seq)
		expect = seq + 1
		return a.keepPartial(seq, settled)
	})
	if err != nil {
		return err
	}
	a.miss(expect, limit)
	if len(newer) > 0 {
		a.changed = true
		a.estimate("connector %s: %d records are newer than its totals, which were counted on from there", a.name, len(newer))
		a.addGaps(limit, newer)
	}
	for _, in := range a.missing {
		for seq := in.from; seq < in.to; seq++ {
			a.state.complete(seq, 0)
		}
	}
	return nil
}

// miss notes the records from from to to that have no outcome, and are not there.
func (a *account) miss(from, to uint64) {
	for seq := a.state.open(from); seq < to; {
		run := interval{seq, seq + 1}
		for run.to < to && a.state.open(run.to) == run.to {
			run.to++
		}
		a.missing = append(a.missing, run)
		seq = a.state.open(run.to)
	}
}

func (a *account) keepPartial(seq uint64, settled bitset) error {
	if len(settled) == 0 {
		return nil
	}
	if err := a.db.Set(seqKey(keyPartial, a.conn, seq), settled.append(nil), pebble.NoSync); err != nil {
		return fmt.Errorf("write the new store: %w", err)
	}
	return nil
}

// addRecord counts a record that the totals do not know of.
func (a *account) addRecord(seq uint64, f fact, settled bitset) {
	l := &a.state.ledger
	l.Received += uint64(f.events)
	l.Accepted += uint64(f.events)
	l.Filtered += uint64(f.filtered)
	l.Dead += uint64(f.dead)
	open := uint64(f.open(settled))
	l.Delivered += uint64(f.events-f.filtered-f.dead) - open
	a.found += open
	a.state.next = seq + 1
	if open == 0 {
		a.state.complete(seq, 0)
	}
}

// addGaps takes the numbers between records that the totals do not know of for
// done: nobody knows whether there was anything.
func (a *account) addGaps(from uint64, newer []uint64) {
	for _, seq := range newer {
		for ; from < seq; from++ {
			a.state.complete(from, 0)
		}
		from = seq + 1
	}
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
