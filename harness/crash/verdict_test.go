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
	replayed, purged                       int // by order
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
			if wrong := e.wrong(a.mended); wrong != "" {
				b.fault("event %s %s (sent %d times, acknowledged %d, arrived %d, dead %d)",
					key, wrong, e.tried, e.acked, e.copies, e.buried)
			}
			r.delivered += e.copies
			r.dead += e.buried
			if e.fate == oracle.Filtered {
				r.filtered++
			}
		}
		if a.mended {
			b.ordered(name, a, &r)
		} else {
			b.repeats(name, a, &r)
		}
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

// wrong says what is wrong with an event at the end. Of a mended connector dead
// letters may have been purged; compare knows how many.
func (e *entry) wrong(mended bool) string {
	got, other := e.copies, e.buried
	least, most := e.stored()
	switch e.fate {
	case oracle.Dead:
		got, other = other, got
		if mended {
			least = 0
		}
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

// ordered counts what came more than once at a connector whose history is
// replayed. A message does not say whether a replay has brought it, so all of it
// is held against the sum of what was ordered and has arrived, of answers lost
// on purpose, and of what crashes may have made: each as much as may be in
// flight, and a group of a replay, which is a POST or a record.
func (b *books) ordered(name string, a *account, r *result) {
	repeats, lost, lives := 0, 0, map[int]bool{}
	for _, was := range a.arrivals {
		repeats += len(was.lives) - 1
		lost += len(was.excused)
		for _, life := range was.lives {
			lives[life] = true
		}
	}
	r.replayed += int(a.ledger.Replayed)
	r.purged += int(a.ledger.Purged)
	if most := int(a.ledger.Replayed) + lost + len(lives)*(a.bound+max(batchEvents, maxBatch)); repeats > most {
		b.fault("%s: %d messages came again; %d replayed, %d lost answers and %d lives allow for %d", name, repeats, a.ledger.Replayed, lost, len(lives), most)
	}
	if int(a.ledger.Replayed) > repeats {
		b.fault("%s: the ledger says that %d events were replayed, and only %d came again", name, a.ledger.Replayed, repeats)
	}
}

// compare holds the last ledger against the books. What was filtered shows
// nowhere else, so it is known only within bounds.
func (b *books) compare(name string, a *account) {
	delivered, dead, least, most := len(a.arrivals), 0, 0, 0
	doomed, doomedMost := 0, 0 // what must be dead or purged
	for _, e := range a.entries {
		dead += e.buried
		if e.fate == oracle.Dead {
			few, many := e.stored()
			doomed, doomedMost = doomed+few, doomedMost+many
		}
		if e.fate == oracle.Filtered {
			few, many := e.stored()
			least, most = least+few, most+many
		}
	}
	l := a.ledger
	if gone := int(l.Dead + l.Purged); gone < doomed || gone > doomedMost || (l.Purged > 0 && !a.mended) {
		b.fault("%s: the ledger says dead %d and purged %d; the books %d to %d in all", name, l.Dead, l.Purged, doomed, doomedMost)
	}
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
	fmt.Fprintf(&out, "by order: %d replayed out of history, %d dead letters purged\n", r.replayed, r.purged)
	for _, c := range connectors() {
		if c.mended {
			continue
		}
		fmt.Fprintf(&out, "  most of one crash at %-8s %3d of %d that may be in flight\n", c.name, r.worst[c.name], inFlight)
	}
	return out.String()
}
