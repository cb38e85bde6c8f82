package pebble

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// countLetters walks over the dead letters. Those that only a blob file or a log
// out of use holds were replayed or purged, unless a table is gone that named
// them: where the totals are known and the others are as many as they say, the
// strays go.
func (a *account) countLetters() error {
	var strays []uint64
	err := a.facts(keyDead, a.conn, func(number uint64, f fact) error {
		a.state.nextDead = max(a.state.nextDead, number+1)
		switch {
		case !f.have:
			a.blank = append(a.blank, number)
		case f.stray:
			strays = append(strays, number)
		default:
			a.letters++
		}
		return nil
	})
	if err != nil {
		return err
	}
	if a.known && a.letters+uint64(len(a.blank)) >= a.state.ledger.Dead {
		for _, number := range strays {
			if err := a.forget(keyDead, a.conn, interval{number, number + 1}); err != nil {
				return err
			}
		}
		return nil
	}
	a.letters += uint64(len(strays))
	return nil
}

// balanceDead brings the number of dead letters and their count together.
func (a *account) balanceDead() {
	l := &a.state.ledger
	dead := l.Dead - a.result.Lost
	switch {
	case dead > a.letters:
		a.changed = true
		a.result.LostDead = dead - a.letters
	case dead < a.letters:
		a.changed = true
		more := a.letters - dead
		l.Dead += more
		a.take(more, &l.Purged, &l.Delivered)
		a.estimate("connector %s: there are %d more dead letters than its totals say", a.name, more)
	}
}

// writeLetters writes a letter for each event that is lost.
func (a *account) writeLetters() error {
	b := a.db.NewBatch()
	now, where := a.opts.Now(), a.where()
	received := a.at
	if received.IsZero() {
		received = now
	}
	write := func(number, seq uint64, answer string) error {
		key := seqKey(keyDead, a.conn, number)
		d := deadLetter{seq: seq, DeadLetter: queue.DeadLetter{
			Number: number, ReceivedAt: received, DiedAt: now, Reason: ReasonDamaged, Answer: answer,
		}}
		if err := b.Set(key, d.append(appendSeal(nil, key)), nil); err != nil {
			return err
		}
		if b.Len() < 1<<20 {
			return nil
		}
		err := errors.Join(b.Commit(pebble.NoSync), b.Close())
		b = a.db.NewBatch()
		return err
	}
	for i := range a.result.LostDead {
		number := a.state.nextDead
		if i < uint64(len(a.blank)) {
			number = a.blank[i]
		} else {
			a.state.nextDead++
		}
		if err := write(number, 0, "a dead letter that cannot be read; "+where); err != nil {
			return err
		}
	}
	for i := range a.result.Lost {
		seq := a.lostRecord(i)
		if err := write(a.state.nextDead, seq, fmt.Sprintf("an event of record %d, which cannot be read; %s", seq, where)); err != nil {
			return err
		}
		a.state.nextDead++
	}
	return errors.Join(b.Commit(pebble.NoSync), b.Close())
}

// lostRecord says which record the lost event i was in, about: how many events a
// record had that cannot be read is not known.
func (a *account) lostRecord(i uint64) uint64 {
	records := uint64(0)
	for _, in := range a.missing {
		records += in.to - in.from
	}
	nth := i * records / a.result.Lost
	for _, in := range a.missing {
		if n := in.to - in.from; nth >= n {
			nth -= n
			continue
		}
		return in.from + nth
	}
	return 0
}

// where names some of what is damaged.
func (a *account) where() string {
	const some = 3
	var places []string
	for _, d := range a.report.Damages[:min(some, len(a.report.Damages))] {
		places = append(places, d.String())
	}
	if more := a.report.Places - len(places); more > 0 {
		places = append(places, fmt.Sprintf("and %d more", more))
	}
	if len(places) == 0 {
		return "a file is missing"
	}
	return "damaged: " + strings.Join(places, "; ")
}
