package pebble

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

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
		settled := a.partial(seq, f)
		if seq >= limit {
			newer = append(newer, seq)
			return a.addRecord(seq, f, settled)
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

// partial returns what is known of the outcomes of a record.
func (a *account) partial(seq uint64, f fact) wire.Bitset {
	bits := parseBitset(a.newest(seqKey(keyPartial, a.conn, seq)))
	if len(bits) == 0 {
		return nil
	}
	if _, _, err := splitPartial(bits, f.events); err != nil {
		a.changed = true
		a.estimate("connector %s: the outcomes of record %d make no sense; what it holds will be delivered again", a.name, seq)
		return nil
	}
	return bits
}

// keepPartial stores outcomes as they were: those that were not delivered, the
// second half, are not for a replay.
func (a *account) keepPartial(seq uint64, settled wire.Bitset) error {
	if len(settled) == 0 {
		return nil
	}
	if err := a.db.Set(seqKey(keyPartial, a.conn, seq), appendBitset(nil, settled), pebble.NoSync); err != nil {
		return fmt.Errorf("write the new store: %w", err)
	}
	return nil
}

// addRecord counts a record that the totals do not know of.
func (a *account) addRecord(seq uint64, f fact, settled wire.Bitset) error {
	done, err := a.isHere(seqKey(keyMissed, a.conn, seq)) // it is there for records that are done
	if err != nil {
		return err
	}
	open := uint64(f.open(settled))
	if done {
		open = 0
	}
	l := &a.state.ledger
	l.Received += uint64(f.events)
	l.Accepted += uint64(f.events)
	l.Filtered += uint64(f.filtered)
	l.Dead += uint64(f.dead)
	l.Delivered += uint64(f.events-f.filtered-f.dead) - open
	a.found += open
	a.state.next = seq + 1
	if open == 0 {
		a.state.complete(seq, 0)
		return nil
	}
	return a.keepPartial(seq, settled)
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

// sortOutMissed drops what is known of events that were not delivered where the
// record is open again: it will be known anew.
func (a *account) sortOutMissed() error {
	return a.facts(keyMissed, a.conn, func(seq uint64, f fact) error {
		if a.state.isDone(seq) {
			return nil
		}
		return a.forget(keyMissed, a.conn, interval{seq, seq + 1})
	})
}
