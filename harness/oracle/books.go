// Package oracle keeps the books of a run: what was acknowledged to Braze, and what
// RudderStack got.
//
// It works out what should arrive from the facts about Braze and RudderStack
// alone, with plain code over decoded JSON, and knows nothing of the bridge.
// So a mistake in the bridge's mapping cannot hide here as well.
//
// Expect says what is to become of one event. Books holds every issued event
// as its id and a hash of what is expected (about 150 bytes an event), takes
// acknowledgements and deliveries in any order, and adds up in the end:
//
//   - every acknowledged event is an obligation: it must be delivered, unless
//     the facts say that it is dead or filtered;
//   - every delivered id must have been issued, and what was delivered must be
//     equal, field by field, to what was expected;
//   - an event may arrive twice only where a response was lost or the bridge was
//     killed in between (see Books.Interrupt).
package oracle

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

// samples is how many examples of each kind the books keep for the report.
const samples = 5

// Books is the ledger of a run. It is safe for concurrent use. Memory is about
// 150 bytes an event, whatever the size of the events.
type Books struct {
	rules   Rules
	archive *os.File

	mu      sync.Mutex
	sent    *bufio.Writer     // to the archive, flushed before that is read
	entries map[string]*entry // by id
	size    int64             // of what was sent
	types   map[string]bool   // sent; true: delivered
	epoch   uint32
	tally   Tally
	noted   map[string]int // notes by kind
}

type entry struct {
	arrives      Sum    // of what must come in
	at           int64  // in the archive
	size         int    // there
	epoch        uint32 // when it was last delivered
	delivered    bool
	fate         Fate
	acked        bool
	corrupt      bool
	deadLettered bool
}

// Tally is the sum of the books, in events, and what a person should know of them.
type Tally struct {
	Sent, Acked         int64 // different events issued; of them acknowledged
	Delivered           int64 // different events that came in at least once
	Duplicates          int64 // further deliveries of an event that was delivered before
	Unexplained         int64 // of the duplicates: nothing was interrupted in between
	Corrupted           int64 // different events that came in other than they should
	Invalid             int64 // deliveries that break RudderStack's schema
	Stray               int64 // deliveries of what was never issued
	Misdirected         int64 // different events delivered though they are dead or filtered
	DeadLettered        int64 // different events that are in the dead letters
	WronglyDeadLettered int64 // dead letters that should be none, or have another reason
	Lost                int64 // acknowledged, to be delivered or dead, and neither delivered nor dead

	Dead, Filtered int64 // acknowledged events that must be dead, or filtered
	Awaited        int64 // acknowledged events that must be delivered
	TypesSent      int
	TypesDelivered int
	Reissued       int64 // ids that were issued again with another content

	// Missing are ids and types of lost events, the first five that were sent.
	Missing []string
	// Notes are a few remarks on each kind of thing that is wrong, such as the fields of
	// a corrupted event that differ.
	Notes []string
}

// NewBooks opens empty books. The archive is an empty file, for what is sent, so that a
// mismatch can be explained afterwards.
func NewBooks(rules Rules, archive *os.File) *Books {
	return &Books{
		rules: rules, archive: archive, sent: bufio.NewWriterSize(archive, 64<<10),
		entries: map[string]*entry{}, types: map[string]bool{}, noted: map[string]int{},
	}
}

// Issue notes an event before it is sent for the first time. Issuing the same
// event again, as a retry does, changes nothing. An event without a usable id is an
// error: the books could not tell which delivery belongs to it.
func (b *Books) Issue(event []byte) error {
	want, err := Expect(event, b.rules)
	if err != nil {
		return err
	}
	if want.ID == "" {
		return fmt.Errorf("event has no id that can be used: %s", cut(text(string(event))))
	}
	arrives := SumOf(want.Arrives)
	b.mu.Lock()
	defer b.mu.Unlock()
	if old, there := b.entries[want.ID]; there {
		if old.arrives != arrives {
			b.tally.Reissued++
			b.note("reissued", "event %s was sent again with another content", want.ID)
		}
		return nil
	}
	if _, err := b.sent.Write(event); err != nil {
		return fmt.Errorf("keep event %s: %w", want.ID, err)
	}
	b.entries[want.ID] = &entry{arrives: arrives, fate: want.Fate, at: b.size, size: len(event)}
	b.size += int64(len(event))
	b.tally.Sent++
	if !b.types[want.Type] {
		b.types[want.Type] = false
	}
	return nil
}

// Ack notes that the events with these ids were answered 2XX: from here on they
// are obligations.
func (b *Books) Ack(ids ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		e, ok := b.entries[id]
		if !ok {
			b.note("unknown ack", "event %s was acknowledged and never issued", id)
			continue
		}
		b.ack(e)
	}
}

// AckAll notes that every event that was issued so far was answered 2XX.
func (b *Books) AckAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.entries {
		b.ack(e)
	}
}

func (b *Books) ack(e *entry) {
	if e.acked {
		return
	}
	e.acked = true
	b.tally.Acked++
	switch e.fate {
	case Dead:
		b.tally.Dead++
	case Filtered:
		b.tally.Filtered++
	case Deliver:
		b.tally.Awaited++
	}
}

// Interrupt notes that outcomes may have been lost here: the bridge was killed,
// or a response never reached it. An event delivered before may be sent again.
func (b *Books) Interrupt() {
	b.mu.Lock()
	b.epoch++
	b.mu.Unlock()
}

// Delivery is one message as RudderStack got it.
type Delivery struct {
	Raw   []byte // the text as it came in
	Valid bool   // against RudderStack's schema
	Fault string // what is invalid, in words
}

// Deliver notes that a message came in and compares it with what was expected.
func (b *Books) Deliver(d Delivery) {
	id, kind, came, problem := b.read(d)
	arrived := SumOf(came)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !d.Valid {
		b.tally.Invalid++
		b.note("invalid", "message %s is invalid: %s", id, d.Fault)
	}
	e, ok := b.entries[id]
	if id == "" || !ok {
		b.tally.Stray++
		b.note("stray", "a message came in that was never sent: messageId %q %s", id, problem)
		return
	}
	if !e.delivered {
		b.tally.Delivered++
		if e.fate != Deliver {
			b.tally.Misdirected++
			b.note("misdirected", "event %s was delivered although it must not be", id)
		}
	} else {
		b.tally.Duplicates++
		if e.epoch == b.epoch {
			b.tally.Unexplained++
			b.note("unexplained", "event %s was delivered twice with nothing lost in between", id)
		}
	}
	e.delivered, e.epoch = true, b.epoch
	if _, sent := b.types[kind]; sent {
		b.types[kind] = true
	}
	if arrived != e.arrives && !e.corrupt && e.fate == Deliver {
		e.corrupt = true
		b.tally.Corrupted++
		if b.noted["corrupted"] < samples { // else the archive is read in vain
			b.note("corrupted", "event %s is not what was sent: %s", id, b.explain(e, came))
		}
	}
}

// read decodes a delivery and finds its id and its event type. problem says in words
// why that cannot be.
func (b *Books) read(d Delivery) (id, kind string, came any, problem string) {
	came, err := Decode(d.Raw)
	if err != nil {
		return "", "", nil, err.Error()
	}
	if b.rules.Webhook {
		want := expectValue(came, b.rules)
		return want.ID, want.Type, came, ""
	}
	fields, _ := came.(map[string]any)
	id, _ = fields["messageId"].(string)
	kind, _ = fields["event"].(string)
	return id, kind, came, ""
}

func (b *Books) explain(e *entry, came any) string {
	want, err := b.expected(e)
	if err != nil {
		return err.Error()
	}
	return strings.Join(Diff(want.Arrives, came, Exact, 3), "; ")
}

// DeadLetter notes that an event is in the bridge's dead letters, and why.
func (b *Books) DeadLetter(event []byte, reason string) {
	want, err := Expect(event, b.rules)
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.entries[want.ID]
	switch {
	case err != nil || want.ID == "" || !ok:
		b.tally.WronglyDeadLettered++
		b.note("dead-lettered", "a dead letter was never sent as an event: %s", cut(text(string(event))))
	case want.Fate != Dead || want.Reason != reason || e.deadLettered:
		b.tally.WronglyDeadLettered++
		b.note("dead-lettered", "event %s (%s) is a dead letter with the reason %s; expected: %s",
			want.ID, want.Type, reason, cmp.Or(want.Reason, "none"))
	}
	if ok && !e.deadLettered {
		e.deadLettered = true
		b.tally.DeadLettered++
	}
}

// note keeps the first few remarks of each kind.
func (b *Books) note(kind, format string, args ...any) {
	if b.noted[kind]++; b.noted[kind] <= samples {
		b.tally.Notes = append(b.tally.Notes, fmt.Sprintf(format, args...))
	}
}

// Progress returns how many events were acknowledged, how many of those must be
// delivered, and how many different events came in so far. It is cheap.
func (b *Books) Progress() (acked, awaited, delivered int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tally.Acked, b.tally.Awaited, b.tally.Delivered
}

// Tally adds up. Call it when nothing is in flight any more.
func (b *Books) Tally() Tally {
	b.mu.Lock()
	defer b.mu.Unlock()
	sum := b.tally
	var lost []*entry
	for _, e := range b.entries {
		// Filtered events are not known here: the bridge only counts them.
		if e.acked && !e.delivered && !e.deadLettered && e.fate != Filtered {
			lost = append(lost, e)
		}
	}
	sum.Lost = int64(len(lost))
	slices.SortFunc(lost, func(x, y *entry) int { return cmp.Compare(x.at, y.at) })
	for _, e := range lost[:min(len(lost), samples)] {
		want, err := b.expected(e)
		name := fmt.Sprintf("%s (%s)", want.ID, want.Type)
		if err != nil {
			name = err.Error()
		}
		sum.Missing = append(sum.Missing, name)
	}
	sum.TypesSent = len(b.types)
	for _, delivered := range b.types {
		if delivered {
			sum.TypesDelivered++
		}
	}
	return sum
}

func (b *Books) expected(e *entry) (Expectation, error) {
	if err := b.sent.Flush(); err != nil {
		return Expectation{}, fmt.Errorf("keep what was sent: %w", err)
	}
	event := make([]byte, e.size)
	if _, err := b.archive.ReadAt(event, e.at); err != nil {
		return Expectation{}, fmt.Errorf("read what was sent: %w", err)
	}
	return Expect(event, b.rules)
}
