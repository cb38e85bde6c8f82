package oracle

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

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
	for _, e := range b.entries {
		switch {
		case e.lost() && e.fate == Deliver:
			sum.Undelivered++
		case e.lost() && e.fate == Dead:
			sum.NotDeadLettered++
		}
	}
	sum.TypesSent = len(b.types)
	for _, delivered := range b.types {
		if delivered {
			sum.TypesDelivered++
		}
	}
	return sum
}

// lost says that an acknowledged event is neither delivered nor dead. Filtered
// events are not known here: the bridge only counts them.
func (e *entry) lost() bool {
	return e.acked && e.delivered == 0 && !e.deadLettered && e.fate != Filtered
}

// Missing lists ids of acknowledged events that are neither delivered nor dead,
// as far as the archive can name them: at most five.
func (b *Books) Missing() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var lost []*entry
	for _, e := range b.entries {
		if e.lost() {
			lost = append(lost, e)
		}
	}
	slices.SortFunc(lost, func(x, y *entry) int { return cmp.Compare(x.at, y.at) })
	var missing []string
	for _, e := range lost[:min(len(lost), samples)] {
		want, err := b.expected(e)
		if err != nil {
			missing = append(missing, err.Error())
			continue
		}
		missing = append(missing, fmt.Sprintf("%s (%s)", want.ID, want.Type))
	}
	return missing
}

// expected reads an event from the archive.
func (b *Books) expected(e *entry) (Expectation, error) {
	event := make([]byte, e.size)
	if _, err := b.archive.ReadAt(event, e.at); err != nil {
		return Expectation{}, fmt.Errorf("read what was sent: %w", err)
	}
	return Expect(event, b.rules)
}

// Notes explains what was found, for a person to read: a few remarks of each
// kind, and for corrupted events the fields that differ.
func (b *Books) Notes() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	notes := append([]string(nil), b.notes...)
	for _, o := range b.corrupted {
		notes = append(notes, fmt.Sprintf("event %s is not what was sent: %s", o.id, b.explain(o)))
	}
	return notes
}

func (b *Books) explain(o mismatch) string {
	want, err := b.expected(o.sent)
	if err != nil {
		return err.Error()
	}
	got, err := Decode(o.got)
	if err != nil {
		return err.Error()
	}
	return strings.Join(Diff(want.Arrives, got, Exact, 3), "; ")
}
