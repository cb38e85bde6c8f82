package crash

import (
	"fmt"
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/harness/oracle"
)

// result is the sum of all books.
type result struct {
	sent, acked, delivered, dead, filtered int // different events
	duplicates                             int // that crashes have made
	excused                                int // that lost answers have made
	worst                                  map[string]int
}

// settle judges every event once nothing is pending any more.
func (b *books) settle() result {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := result{worst: map[string]int{}}
	for name, a := range b.connectors {
		for key, e := range a.entries {
			r.sent++
			r.acked += min(e.acked, 1)
			if wrong := e.wrong(); wrong != "" {
				b.fault("event %s %s (sent %d times, acknowledged %d, arrived %d, dead %d)",
					key, wrong, e.tried, e.acked, e.copies, e.buried)
			}
			r.delivered += e.copies
			r.dead += e.buried
			if e.fate == oracle.Filtered {
				r.filtered++
			}
		}
		b.repeats(name, a, &r)
		b.compare(name, a)
	}
	return r
}

// stored is how often an event must be in the store at least, and may be at
// most. One without an id is stored as often as it is sent and heard of.
func (e *entry) stored() (least, most int) {
	if e.id == "" {
		return e.acked, e.tried
	}
	return min(e.acked, 1), 1
}

// wrong says what is wrong with an event at the end.
func (e *entry) wrong() string {
	got, other := e.copies, e.buried
	least, most := e.stored()
	switch e.fate {
	case oracle.Dead:
		got, other = other, got
	case oracle.Filtered:
		least, most = 0, 0
	}
	switch {
	case got < least:
		return "was acknowledged and is lost"
	case got > most:
		return "is there more than once"
	case other > 0:
		return "is where it should not be"
	}
	return ""
}

// repeats counts what came more than once, and holds it against the bound,
// crash by crash. What a life has brought and a later one brings again had no
// outcome on disk when the first life ended.
func (b *books) repeats(name string, a *account, r *result) {
	crashes := map[int]int{}
	for id, was := range a.arrivals {
		slices.Sort(was.lives)
		for i := 1; i < len(was.lives); i++ {
			life := was.lives[i-1]
			if life != was.lives[i] {
				crashes[life]++
				r.duplicates++
				continue
			}
			at := slices.Index(was.excused, life)
			if at < 0 {
				b.fault("message %s of %s came twice in life %d, and no answer was lost", id, name, life)
				continue
			}
			was.excused = slices.Delete(was.excused, at, at+1)
			r.excused++
		}
	}
	for life, n := range crashes {
		r.worst[name] = max(r.worst[name], n)
		if n > a.bound {
			b.fault("crash %d has made %d duplicates at %s; at most %d events may be in flight", life, n, name, a.bound)
		}
	}
}

// compare holds the last ledger against the books. What was filtered shows
// nowhere else, so it is known only within bounds.
func (b *books) compare(name string, a *account) {
	delivered, dead, least, most := len(a.arrivals), 0, 0, 0
	for _, e := range a.entries {
		dead += e.buried
		if e.fate == oracle.Filtered {
			few, many := e.stored()
			least, most = least+few, most+many
		}
	}
	l := a.ledger
	if l.Pending != 0 || l.Delivered != int64(delivered) || l.Dead != int64(dead) ||
		l.Filtered < int64(least) || l.Filtered > int64(most) {
		b.fault("%s: the ledger says pending %d, delivered %d, dead %d, filtered %d; the books 0, %d, %d, and %d to %d",
			name, l.Pending, l.Delivered, l.Dead, l.Filtered, delivered, dead, least, most)
	}
}

// String is the report of the books.
func (r result) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "events: %d sent, %d acknowledged, %d delivered, %d dead, %d to be filtered\n", r.sent, r.acked, r.delivered, r.dead, r.filtered)
	fmt.Fprintf(&out, "duplicates: %d by crashes, %d by answers that were lost on purpose\n", r.duplicates, r.excused)
	for _, c := range connectors() {
		fmt.Fprintf(&out, "  most of one crash at %-8s %3d of %d that may be in flight\n", c.name, r.worst[c.name], inFlight)
	}
	return out.String()
}
