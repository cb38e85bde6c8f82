package jetstream

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

// header is the header in which a message says what it changes. Bridges follow
// a stream by headers alone, so that they do not read each other's batches.
const header = "Bridge"

// kind says what a message is. Numbers are never used again.
type kind byte

const (
	kindRecord    kind = 1  // a batch, or a dead letter that is pending again
	kindRewritten kind = 2  // what an erasure left of a batch
	kindCounts    kind = 3  // a batch of which nothing was stored
	kindOutcome   kind = 4  // what became of events
	kindLetter    kind = 5  // a dead letter
	kindPurged    kind = 6  // the end of a dead letter
	kindRevived   kind = 7  // the dead letter is a record again, which follows
	kindSwept     kind = 8  // numbers of letters whose messages are deleted
	kindOrder     kind = 9  // a replay, begun or ended
	kindProgress  kind = 10 // of a replay
	kindOwner     kind = 11 // the bridge that works on the replay
	kindTotals    kind = 12 // everything up to a place in the stream
	kindSegment   kind = 13 // what history has to know
	kindCut       kind = 14 // history was given up
)

// run is an outcome of neighbouring events of one record.
type run struct {
	first, count int
	fate         queue.Fate
	number       uint64 // of the first one's dead letter; the others' follow it
}

// claim is what a message says became of events of a record. It counts for
// those events that have no outcome yet.
type claim struct {
	seq    uint64
	events int // of the record
	runs   []run
}

// entry is the content of the header; which fields are used depends on the kind.
type entry struct {
	kind          kind
	writer, nonce uint64 // the bridge, and its own count of what it stored

	received   time.Time
	events     int // of the record
	duplicates int
	size       int    // bytes of the message's body
	number     uint64 // of a dead letter, a record, or a replay; or a place in the stream
	upTo       uint64 // of a cut: what lies behind it, rewritten, was not deleted
	claims     []claim
	numbers    []uint64

	replay   wire.Replay
	progress queue.ReplayProgress
}

const (
	maxEvents = 1 << 24 // of one record, so that damage cannot make us allocate without bound
	maxRuns   = 1 << 20
)

func (e entry) encode() string {
	dst := []byte{byte(e.kind)}
	for _, v := range [...]uint64{e.writer, e.nonce, e.number} {
		dst = binary.AppendUvarint(dst, v)
	}
	switch e.kind {
	case kindRecord, kindRewritten, kindCounts, kindLetter, kindPurged, kindRevived:
		dst = wire.AppendTime(dst, e.received)
		for _, v := range [...]int{e.events, e.duplicates, e.size} {
			dst = binary.AppendUvarint(dst, uint64(v))
		}
		dst = appendClaims(dst, e.claims)
	case kindOutcome:
		dst = appendClaims(dst, e.claims)
	case kindCut:
		dst = binary.AppendUvarint(dst, e.upTo)
	case kindSwept:
		dst = appendNumbers(dst, e.numbers)
	case kindOrder:
		dst = e.replay.Append(dst)
	case kindProgress:
		dst = appendProgress(wire.AppendTime(dst, e.received), e.progress)
	}
	return base64.RawStdEncoding.EncodeToString(dst)
}

func decode(text string) (entry, error) {
	data, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return entry{}, fmt.Errorf("header %s: %w", header, wire.ErrDamaged)
	}
	r := wire.Reader{Data: data}
	e := entry{kind: kind(r.Byte()), writer: r.Uint(), nonce: r.Uint(), number: r.Uint()}
	switch e.kind {
	case kindRecord, kindRewritten, kindCounts, kindLetter, kindPurged, kindRevived:
		e.received = r.Time()
		e.events, e.duplicates, e.size = r.Length(maxEvents), r.Length(maxEvents), r.Length(math.MaxInt32)
		e.claims = readClaims(&r)
	case kindOutcome:
		e.claims = readClaims(&r)
	case kindSwept:
		e.numbers = readNumbers(&r)
	case kindOrder:
		e.replay = r.Replay()
	case kindProgress:
		e.received = r.Time()
		e.progress = readProgress(&r)
	case kindCut:
		if len(r.Data) > 0 { // there was none at first
			e.upTo = r.Uint()
		}
	case kindOwner, kindTotals, kindSegment:
	default:
		r.Bad = true
	}
	if r.Bad {
		return entry{}, fmt.Errorf("header %s: %w", header, wire.ErrDamaged)
	}
	return e, nil
}

func appendClaims(dst []byte, claims []claim) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(claims)))
	last := uint64(0)
	for _, c := range claims {
		dst = binary.AppendVarint(dst, int64(c.seq-last))
		last = c.seq
		dst = binary.AppendUvarint(dst, uint64(c.events))
		dst = binary.AppendUvarint(dst, uint64(len(c.runs)))
		end := 0
		for _, r := range c.runs {
			dst = binary.AppendVarint(dst, int64(r.first-end))
			dst = binary.AppendUvarint(dst, uint64(r.count))
			dst = append(dst, byte(r.fate))
			if r.fate == queue.Dead {
				dst = binary.AppendUvarint(dst, r.number)
			}
			end = r.first + r.count
		}
	}
	return dst
}

func readClaims(r *wire.Reader) (claims []claim) {
	last, runs := uint64(0), 0
	for n := r.Length(len(r.Data)); n > 0 && !r.Bad; n-- {
		last += uint64(r.Int())
		c := claim{seq: last, events: r.Length(maxEvents)}
		end := 0
		for m := r.Length(len(r.Data)); m > 0 && !r.Bad; m-- {
			x := run{first: end + int(r.Int()), count: r.Length(maxEvents), fate: queue.Fate(r.Byte())}
			if x.fate == queue.Dead {
				x.number = r.Uint()
			}
			end = x.first + x.count
			if runs++; x.first < 0 || end > c.events || x.fate < queue.Delivered || x.fate > queue.Dead || runs > maxRuns {
				r.Bad = true
			}
			c.runs = append(c.runs, x)
		}
		claims = append(claims, c)
	}
	return claims
}

func appendNumbers(dst []byte, numbers []uint64) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(numbers)))
	last := uint64(0)
	for _, n := range numbers {
		dst = binary.AppendVarint(dst, int64(n-last))
		last = n
	}
	return dst
}

func readNumbers(r *wire.Reader) (numbers []uint64) {
	last := uint64(0)
	for n := r.Length(len(r.Data)); n > 0 && !r.Bad; n-- {
		last += uint64(r.Int())
		numbers = append(numbers, last)
	}
	return numbers
}

func appendProgress(dst []byte, p queue.ReplayProgress) []byte {
	for _, v := range [...]uint64{p.Number, p.Next, p.Replayed, p.Refused, p.Skipped} {
		dst = binary.AppendUvarint(dst, v)
	}
	if p.End {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func readProgress(r *wire.Reader) queue.ReplayProgress {
	return queue.ReplayProgress{
		Number: r.Uint(), Next: r.Uint(), Replayed: r.Uint(), Refused: r.Uint(), Skipped: r.Uint(), End: r.Byte() == 1,
	}
}
