package pebble

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

// salvage collects what can be read of a store into a new one. Records, ids and
// dead letters, of which there may be millions, go straight there, each with a
// fact beside it; all else is little and is kept in memory.
//
// Numbers of records and letters are never used again. So a delete of one holds
// for ever, whatever is found of it in files that were of no use any more.
type salvage struct {
	*repair
	db       *pebble.DB
	file     string // being read
	body     []byte
	unsealed int
	changed  bool // something of the old store is not in the new one
	stale    bool // the log at hand is in the tables already
	small    map[string]version
	deleted  map[string][]interval // by kind and connector
}

// version is the newest change of a small key.
type version struct {
	seq   uint64
	value []byte // nil: deleted
}

// interval is numbers from from to to (not included).
type interval struct{ from, to uint64 }

// keyFact + the key of a record, ids or a letter: what is known of it. It is only
// there during a repair.
const keyFact = 'v'

// fact is what a repair needs to know of a record, ids or a dead letter.
type fact struct {
	deleted bool
	apart   bool // the newest value is in a blob file
	have    bool // the value is in the new store
	stray   bool // no table and no log in use names it: it may have been deleted
	seq     uint64

	received                       time.Time
	events, filtered, dead, erased int
	pending                        wire.Bitset
}

func (f fact) append(dst []byte) []byte {
	flags := byte(0)
	for i, set := range [...]bool{f.deleted, f.apart, f.have, f.stray} {
		if set {
			flags |= 1 << i
		}
	}
	dst = binary.AppendUvarint(append(dst, flags), f.seq)
	dst = binary.AppendVarint(dst, f.received.UnixNano())
	for _, n := range [...]int{f.events, f.filtered, f.dead, f.erased} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	return appendBitset(dst, f.pending)
}

func parseFact(value []byte) fact {
	r := wire.Reader{Data: value}
	flags := r.Byte()
	f := fact{deleted: flags&1 > 0, apart: flags&2 > 0, have: flags&4 > 0, stray: flags&8 > 0, seq: r.Uint(), received: time.Unix(0, r.Int())}
	for _, n := range [...]*int{&f.events, &f.filtered, &f.dead, &f.erased} {
		*n = r.Length(wire.MaxBody)
	}
	f.pending = parseBitset(r.Data)
	return f
}

// open counts the events without an outcome, given those that have one.
func (f fact) open(settled wire.Bitset) (n int) {
	for i, word := range f.pending {
		if i < len(settled) {
			word &^= settled[i]
		}
		n += bits.OnesCount64(word)
	}
	return n
}

// readAll reads the files: tables and logs before blob files, since they say
// which values are in use.
func (s *salvage) readAll(ctx context.Context, files []rawFile, total int64) error {
	told := time.Time{}
	r := &rawReader{
		fs: s.opts.FS, dir: s.dir, entry: s.entry, value: s.value, damage: s.note, newest: newestLog(files),
		torn: func(d Damage) { s.report.Torn = append(s.report.Torn, d) },
		pace: func(ctx context.Context, n int) error {
			s.report.BytesRead += int64(n)
			if now := s.opts.Now(); now.Sub(told) >= time.Second {
				told = now
				s.opts.Progress(RepairProgress{Done: s.report.BytesRead, Total: total})
			}
			return ctx.Err()
		},
	}
	for _, f := range files {
		s.file, s.stale = f.name, false
		if f.kind == logFile {
			if err := s.lookAtLog(ctx, f, r.newest); err != nil {
				return err
			}
		}
		if err := r.read(ctx, f); err != nil {
			return err
		}
	}
	s.unsealed = r.unsealed
	return nil
}

// bigKinds are the kinds of keys of which there may be millions.
const bigKinds = string(keyRecord) + string(keyIDs) + string(keyDead) + string(keyMissed)

// isBig tells whether a key is of a kind of which there may be millions.
func isBig(key []byte) bool {
	return len(key) == seqKeyLen && strings.IndexByte(bigKinds, key[0]) >= 0
}

// entry takes what a table or a log holds.
func (s *salvage) entry(e rawEntry) error {
	if len(e.key) == 0 {
		return nil
	}
	if e.isRangeDelete() {
		from, ok := seqOf(e.key)
		to, ok2 := seqOf(e.value)
		if ok && ok2 && string(e.key[:connKeyLen]) == string(e.value[:connKeyLen]) {
			prefix := string(e.key[:connKeyLen])
			s.deleted[prefix] = append(s.deleted[prefix], interval{from, to})
		}
		return nil
	}
	if !e.isSet() && !e.isDelete() {
		return nil
	}
	if isBig(e.key) {
		return s.big(e)
	}
	if old, ok := s.small[string(e.key)]; ok && !s.isNewer(e, old) {
		return nil
	}
	v := version{seq: e.seq}
	if e.isSet() {
		if err := checkValue(e.key, e.value, &s.body); err != nil {
			s.note(Damage{File: s.file, Problem: brief(err)})
			return nil
		}
		v.value = append([]byte{}, e.value...)
	}
	s.small[string(e.key)] = v
	return nil
}

func (s *salvage) big(e rawEntry) error {
	f, known, err := s.fact(e.key)
	if err != nil || f.deleted {
		return err
	}
	switch {
	case e.isDelete():
		return s.setFact(e.key, fact{deleted: true})
	case known && (s.stale || e.seq <= f.seq):
		return nil
	case e.apart:
		return s.setFact(e.key, fact{apart: true, seq: e.seq})
	}
	return s.keep(e.key, e.value, fact{seq: e.seq, stray: s.stale})
}

// value takes what a blob file holds. The newer file comes later, but a file that
// was rewritten may be newer than its values: of two of the same record the one
// that more was erased from is the newer.
func (s *salvage) value(_ uint64, key, value []byte) error {
	if !isBig(key) {
		return nil
	}
	f, known, err := s.fact(key)
	if err != nil || f.deleted || (known && !f.apart) {
		return err
	}
	f.apart, f.stray = true, f.stray || !known
	return s.keep(key, value, f)
}

// keep puts a value into the new store, if it makes sense.
func (s *salvage) keep(key, value []byte, f fact) error {
	if err := checkValue(key, value, &s.body); err != nil {
		s.note(Damage{File: s.file, Problem: brief(err)})
		return s.setFact(key, f)
	}
	before := f.erased
	if key[0] == keyRecord {
		if err := f.describe(value); err != nil {
			return err
		}
	}
	if f.have && f.erased < before {
		return nil
	}
	f.have = true
	if !s.opts.DryRun {
		if err := s.db.Set(key, value, pebble.NoSync); err != nil {
			return fmt.Errorf("write the new store: %w", err)
		}
	}
	return s.setFact(key, f)
}

// describe notes what an account of the record needs.
func (f *fact) describe(value []byte) error {
	h, err := parseHeader(value, nil)
	if err != nil {
		return err
	}
	f.received, f.events, f.filtered, f.dead, f.erased = h.Received, len(h.Spans), 0, 0, 0
	f.pending = f.pending.Sized(len(h.Spans))
	for i, sp := range h.Spans {
		switch sp.Fate {
		case queue.Filtered:
			f.filtered++
		case queue.Dead:
			f.dead++
		case queue.Pending:
			f.pending.Set(i)
		case wire.Erased:
			f.erased++
		}
	}
	return nil
}

func factKey(key []byte) []byte { return append([]byte{keyFact}, key...) }

func (s *salvage) fact(key []byte) (f fact, known bool, err error) {
	value, closer, err := s.db.Get(factKey(key))
	if errors.Is(err, pebble.ErrNotFound) {
		return fact{}, false, nil
	}
	if err != nil {
		return fact{}, false, fmt.Errorf("read the new store: %w", err)
	}
	f = parseFact(value)
	return f, true, closer.Close()
}

func (s *salvage) setFact(key []byte, f fact) error {
	if err := s.db.Set(factKey(key), f.append(nil), pebble.NoSync); err != nil {
		return fmt.Errorf("write the new store: %w", err)
	}
	return nil
}

// newest returns the newest value of a small key; nil: there is none.
func (s *salvage) newest(key []byte) []byte {
	if number, ok := seqOf(key); ok && s.isDeleted(key, number) {
		return nil
	}
	return s.small[string(key)].value
}

func (s *salvage) isDeleted(key []byte, number uint64) bool {
	for _, in := range s.deleted[string(key[:connKeyLen])] {
		if number >= in.from && number < in.to {
			return true
		}
	}
	return false
}

// applyDeletes merges the ranges of deletes and takes what they cover out of the
// new store.
func (s *salvage) applyDeletes() error {
	for prefix, all := range s.deleted {
		slices.SortFunc(all, func(a, b interval) int { return cmp.Compare(a.from, b.from) })
		merged := all[:0]
		for _, in := range all {
			if n := len(merged); n > 0 && in.from <= merged[n-1].to {
				merged[n-1].to = max(merged[n-1].to, in.to)
				continue
			}
			merged = append(merged, in)
		}
		s.deleted[prefix] = merged
		kind, conn := prefix[0], binary.BigEndian.Uint32([]byte(prefix[1:]))
		for _, in := range merged {
			if err := s.forget(kind, conn, in); err != nil {
				return err
			}
		}
	}
	return nil
}

// forget takes things out of the new store.
func (s *salvage) forget(kind byte, conn uint32, in interval) error {
	from, to := seqKey(kind, conn, in.from), seqKey(kind, conn, in.to)
	if err := errors.Join(
		s.db.DeleteRange(from, to, pebble.NoSync),
		s.db.DeleteRange(factKey(from), factKey(to), pebble.NoSync),
	); err != nil {
		return fmt.Errorf("write the new store: %w", err)
	}
	return nil
}

// firstFact returns the first key from from to to (not included) that anything is
// known of, be it that it is deleted; nil: there is none.
func (s *salvage) firstFact(from, to []byte) (key []byte, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: factKey(from), UpperBound: factKey(to)})
	if err != nil {
		return nil, fmt.Errorf("read the new store: %w", err)
	}
	if it.First() {
		key = slices.Clone(it.Key()[1:])
	}
	return key, errors.Join(it.Error(), it.Close())
}

// facts gives visit what is known of one kind of a connector, in order.
func (s *salvage) facts(kind byte, conn uint32, visit func(number uint64, f fact) error) error {
	it, err := s.db.NewIter(&pebble.IterOptions{
		LowerBound: factKey(seqKey(kind, conn, 0)), UpperBound: factKey(seqKey(kind, conn, end)),
	})
	if err != nil {
		return fmt.Errorf("read the new store: %w", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		f := parseFact(it.Value())
		number, _ := seqOf(it.Key()[1:])
		if f.deleted {
			continue
		}
		if err := visit(number, f); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return errors.Join(it.Error(), it.Close())
}
