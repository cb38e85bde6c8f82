// Package currents reads what Braze's Custom HTTP connector sends, a body
// {"events":[…]}, as bytes: one pass validates the JSON (RFC 8259) and finds
// each event with the few values that decide its way. Nothing is decoded and
// nothing is copied; events leave as they came.
package currents

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// Errors of Batch.Scan; compare with errors.Is.
var (
	// ErrNotJSON means that the body is not exactly one JSON document. The error
	// says in how many bytes from the start it stops being valid, and never the content,
	// which may be personal data.
	ErrNotJSON = errors.New("body is not JSON")
	// ErrNoEvents means that the body is valid JSON without an array called
	// events at its top.
	ErrNoEvents = errors.New("body has no array called events")
	// ErrTooManyEvents means that the body has more events than Batch.Limit.
	ErrTooManyEvents = errors.New("body has too many events")
)

// Event is one element of a batch's events.
//
// Type, ID, UserID and ExternalUserID are raw JSON values, slices of the body;
// nil where the key is absent. Of duplicate keys the last one counts, and keys written with escapes are recognised.
type Event struct {
	Start, End     int    // the element is body[Start:End], without white space around it
	Object         bool   // false: it is no JSON object, and nothing below is set but Count
	Count          int    // of consecutive elements that are no objects, for which it stands; 1 for up to MaxSingle in a body
	Type           []byte // event_type
	ID             []byte // id
	UserID         []byte // user.user_id
	ExternalUserID []byte // user.external_user_id
}

// Batch finds the events of a body. The zero value is ready; a Batch that is
// used again allocates nothing once it has seen a body of that size. It is not
// safe for concurrent use.
type Batch struct {
	// Events holds the events of the last body scanned, in order. It and the
	// slices in it are valid until the next Scan and as long as the body is
	// not changed.
	Events []Event
	// Limit is how many events a body may have; 0 means any number. An event
	// may be three bytes long and takes about 130 bytes here, so a receiver that
	// takes bodies of many megabytes should set one.
	Limit int

	count   int      // of the elements of events so far
	single  int      // of those that are no objects and have an Event of their own
	open    []uint64 // of each bracket that is open, the outermost first, a bit: 1 is an object
	scratch []byte   // the last key that had escapes, without them
}

// What a Batch keeps of the memory that an unusual body took: 1024 words stand for
// 65,536 open brackets, and a key that is longer than 4 KiB is rare.
const (
	openKept    = 1024
	scratchKept = 4 << 10
)

// Scan validates body and fills in b.Events. It takes any nesting depth in one
// bit of memory a level, invalid UTF-8 inside strings, lone surrogates, and
// white space around the document, but no byte-order mark. On an error
// b.Events is empty; the error is ErrNotJSON, ErrNoEvents or
// ErrTooManyEvents. Whether an empty body is an error is up to the caller
// (IsBlank); to Scan it is not JSON.
func (b *Batch) Scan(body []byte) error {
	b.Events, b.count, b.single = b.Events[:0], 0, 0
	end, found := b.document(body)
	if err := b.finish(body, end); err != nil {
		return err
	}
	if !found {
		b.Events = b.Events[:0]
		return ErrNoEvents
	}
	if b.Limit > 0 && b.count > b.Limit {
		b.Events = b.Events[:0]
		return ErrTooManyEvents
	}
	return nil
}

// ScanEvent scans one event that stands alone, as if body were one element of
// events; b.Events then holds that one. The error is ErrNotJSON.
func (b *Batch) ScanEvent(body []byte) error {
	b.Events = b.Events[:0]
	end := b.element(body, skipSpace(body, 0))
	return b.finish(body, end)
}

// finish releases memory that only an unusual body needs, and returns an error where
// the end of what was scanned is not that of the body.
func (b *Batch) finish(body []byte, end int) error {
	if cap(b.open) > openKept {
		b.open = nil
	}
	if cap(b.scratch) > scratchKept {
		b.scratch = nil
	}
	if end != jsonlex.Bad && skipSpace(body, end) == len(body) {
		return nil
	}
	b.Events = b.Events[:0]
	if syntax, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(body, new(json.RawMessage))); ok {
		return fmt.Errorf("%w: stops being valid within its first %d bytes", ErrNotJSON, syntax.Offset)
	}
	return ErrNotJSON
}

// skipSpace is jsonlex.Space, and quicker where there is none, as nearly always.
func skipSpace(body []byte, i int) int {
	if uint(i) < uint(len(body)) && body[i] > ' ' {
		return i
	}
	return jsonlex.Space(body, i)
}

// MaxSingle is how many elements of a body that are no objects have an Event each.
// Of more than that, consecutive ones share one, which holds the first of them:
// such an element may be a single byte, and a body may have millions.
const MaxSingle = 100

// Reset releases the last body and the memory for its events, so that a
// pooled Batch does not keep a large body alive. Limit stays.
func (b *Batch) Reset() { *b = Batch{Limit: b.Limit} }

// IsBlank reports whether body is empty or nothing but JSON white space, as
// Braze's probe of the credentials may be.
func IsBlank(body []byte) bool {
	return skipSpace(body, 0) == len(body)
}
