package mockrudder

import (
	"strconv"
	"strings"
	"time"
)

// maxNames bounds how many kinds of message and how many request states are
// counted apart, so that a sender with endless event names cannot fill the memory.
const maxNames = 10_000

// maxName is how long a type and an event name may be together, in bytes, to be
// counted apart; real names are far shorter, and a name can be as long as a request.
const maxName = 1024

// otherName is the event name under which the kinds beyond maxNames are counted.
const otherName = "(other)"

// tally counts what was stored and answered since the last reset, exactly,
// whatever the store still keeps.
type tally struct {
	kinds    map[kindKey]*Counts
	requests map[requestKey]uint64
	overflow bool // some event names are counted under otherName
}

type kindKey struct{ source, kind, name string }

type requestKey struct {
	source string
	status int // 0: the connection was closed without an answer
}

// Counts says how many messages were stored and what the verdicts were.
type Counts struct {
	Stored  uint64 `json:"stored"`
	Valid   uint64 `json:"valid"`
	Invalid uint64 `json:"invalid"`
	Drift   uint64 `json:"drift"` // with a field or an event type that the glossary does not know
}

func (c *Counts) add(o Counts) {
	c.Stored += o.Stored
	c.Valid += o.Valid
	c.Invalid += o.Invalid
	c.Drift += o.Drift
}

func newTally() tally {
	return tally{kinds: map[kindKey]*Counts{}, requests: map[requestKey]uint64{}}
}

func (t *tally) count(e *Event) {
	key := kindKey{e.Source, e.Type, e.Name}
	counts := t.kinds[key]
	if counts == nil {
		if len(t.kinds) >= maxNames || len(e.Type)+len(e.Name) > maxName {
			t.overflow = true
			key.kind, key.name = otherName, otherName
			counts = t.kinds[key]
		}
		if counts == nil {
			counts = &Counts{}
			t.kinds[kindKey{key.source, strings.Clone(key.kind), strings.Clone(key.name)}] = counts // not a part of the body
		}
	}
	counts.Stored++
	switch {
	case !e.Judged:
	case e.Valid:
		counts.Valid++
	default:
		counts.Invalid++
	}
	if len(e.Drift) > 0 {
		counts.Drift++
	}
}

// total adds up what matches. It is not ok where the filter asks for more than
// is counted.
func (t *tally) total(f Filter) (total uint64, ok bool) {
	if !f.counted() || t.overflow && (f.Type != "" || f.Event != "") {
		return 0, false
	}
	for key, counts := range t.kinds {
		if f.Source != "" && f.Source != key.source || f.Type != "" && f.Type != key.kind || f.Event != "" && f.Event != key.name {
			continue
		}
		switch {
		case f.OnlyValid && f.OnlyInvalid:
		case f.OnlyValid:
			total += counts.Valid
		case f.OnlyInvalid:
			total += counts.Invalid
		default:
			total += counts.Stored
		}
	}
	return total, true
}

// Stats is what a server has counted since it started or was reset.
type Stats struct {
	SourceStats // of all sources

	// Total is how many messages were stored, the same as Stored.
	Total uint64 `json:"total"`
	// Kept is how many messages can still be asked for.
	Kept int `json:"kept"`
	// Newest is the id of the newest message there ever was, "" for none.
	Newest string `json:"newest"`
	// Sources has an entry for each source, by write key, and one under "" for
	// requests without a good key.
	Sources map[string]*SourceStats `json:"sources"`
	// Glossary is the schema version of Braze's glossary, with its date.
	Glossary string `json:"glossary"`
}

// SourceStats is what came in by one source, or by all of them.
type SourceStats struct {
	Counts

	// Requests counts answers by status; "closed" is for none.
	Requests map[string]uint64 `json:"requests"`
	// ByType and ByEvent count the messages by type and by event name.
	ByType  map[string]*Counts `json:"by_type"`
	ByEvent map[string]*Counts `json:"by_event"`
}

func newSourceStats() SourceStats {
	return SourceStats{Requests: map[string]uint64{}, ByType: map[string]*Counts{}, ByEvent: map[string]*Counts{}}
}

func (t *tally) stats() Stats {
	stats := Stats{SourceStats: newSourceStats(), Sources: map[string]*SourceStats{}}
	for key, counts := range t.kinds {
		for _, of := range []*SourceStats{&stats.SourceStats, stats.source(key.source)} {
			of.add(*counts)
			addTo(of.ByType, key.kind, *counts)
			addTo(of.ByEvent, key.name, *counts)
		}
	}
	for key, n := range t.requests {
		status := "closed"
		if key.status != 0 {
			status = strconv.Itoa(key.status)
		}
		stats.Requests[status] += n
		stats.source(key.source).Requests[status] += n
	}
	stats.Total = stats.Stored
	return stats
}

// source returns the entry of a source, made where it is missing.
func (s *Stats) source(key string) *SourceStats {
	if s.Sources[key] == nil {
		entry := newSourceStats()
		s.Sources[key] = &entry
	}
	return s.Sources[key]
}

func addTo(counts map[string]*Counts, key string, c Counts) {
	if counts[key] == nil {
		counts[key] = &Counts{}
	}
	counts[key].add(c)
}

// dropNames leaves out the counts by event name, of which there can be many.
func (s *Stats) dropNames() {
	s.ByEvent = map[string]*Counts{}
	for _, of := range s.Sources {
		of.ByEvent = map[string]*Counts{}
	}
}

// rateSeconds is how far back the counts by second go.
const rateSeconds = 600

// second is what happened within one second.
type second struct {
	At       int64  `json:"at"` // Unix time
	Stored   uint64 `json:"stored"`
	Valid    uint64 `json:"valid"`
	Invalid  uint64 `json:"invalid"`
	Requests uint64 `json:"requests"`
	Refused  uint64 `json:"refused"` // of the requests: answered 4XX or 5XX, or not at all
}

// rates counts by second, in a circle.
type rates struct{ ring [rateSeconds]second }

// at returns the counts of the second that a time is in.
func (r *rates) at(now time.Time) *second {
	unix := now.Unix()
	s := &r.ring[uint64(unix)%rateSeconds]
	if s.At != unix {
		*s = second{At: unix}
	}
	return s
}

func (r *rates) count(e *Event) {
	s := r.at(e.ReceivedAt)
	s.Stored++
	switch {
	case !e.Judged:
	case e.Valid:
		s.Valid++
	default:
		s.Invalid++
	}
}

func (r *rates) answered(now time.Time, status int) {
	s := r.at(now)
	s.Requests++
	if status == 0 || status >= 400 {
		s.Refused++
	}
}

// last returns the last n seconds, the one that runs included, oldest first.
// One in which nothing happened is there with zeros.
func (r *rates) last(now time.Time, n int) []second {
	list := make([]second, 0, n)
	for unix := now.Unix() - int64(n) + 1; unix <= now.Unix(); unix++ {
		s := r.ring[uint64(unix)%rateSeconds]
		if s.At != unix {
			s = second{At: unix}
		}
		list = append(list, s)
	}
	return list
}
