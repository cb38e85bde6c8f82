package mockrudder

import (
	"strconv"
	"strings"
	"time"
)

// Limits of what is counted separately, so that a sender of ever new event names
// cannot fill the memory. The rest is counted under otherName.
const (
	maxNames  = 10_000 // combinations of source, type and event name
	maxName   = 1024   // bytes of a type and an event name together
	otherName = "(other)"
)

// tally counts stored messages and responses since the last reset.
type tally struct {
	kinds    map[kindKey]*Counts
	requests map[requestKey]uint64
	overflow bool // some event names are counted under otherName
}

type kindKey struct{ source, kind, name string }

type requestKey struct {
	source string
	status int // 0: the connection was closed without a response
}

// Counts counts messages by verdict.
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
			t.kinds[kindKey{key.source, strings.Clone(key.kind), strings.Clone(key.name)}] = counts // copies, as these are parts of the request body
		}
	}
	counts.add(e.counts())
}

// counts counts one message.
func (e *Event) counts() Counts {
	c := Counts{Stored: 1}
	if e.Judged && e.Valid {
		c.Valid = 1
	} else if e.Judged {
		c.Invalid = 1
	}
	if len(e.Drift) > 0 {
		c.Drift = 1
	}
	return c
}

// total counts the messages that match. It is not ok for a filter by more than is
// counted.
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

// Stats are the counts of a server since its start or the last reset.
type Stats struct {
	SourceStats // of all sources

	Total  uint64 `json:"total"`  // how many messages were stored, the same as Stored
	Kept   int    `json:"kept"`   // how many messages are still kept
	Newest string `json:"newest"` // the id of the newest message, of before a reset too; "" for none
	// Sources has an entry for each source, by write key, and one under "" for
	// requests without a valid key.
	Sources  map[string]*SourceStats `json:"sources"`
	Glossary string                  `json:"glossary"` // the schema version of Braze's glossary, with its date
}

// SourceStats are the counts of one source, or of all.
type SourceStats struct {
	Counts

	Requests map[string]uint64  `json:"requests"` // counts responses by status; "closed" is for none
	ByType   map[string]*Counts `json:"by_type"`  // messages by type
	ByEvent  map[string]*Counts `json:"by_event"` // messages by event name
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

// source returns the entry of a source, and adds it if it is missing.
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

// dropNames removes the counts by event name, which can be many.
func (s *Stats) dropNames() {
	s.ByEvent = map[string]*Counts{}
	for _, of := range s.Sources {
		of.ByEvent = map[string]*Counts{}
	}
}

// rateSeconds is for how many seconds there are counts by second.
const rateSeconds = 600

// second has the counts of one second.
type second struct {
	At       int64  `json:"at"` // Unix time
	Stored   uint64 `json:"stored"`
	Valid    uint64 `json:"valid"`
	Invalid  uint64 `json:"invalid"`
	Requests uint64 `json:"requests"`
	Refused  uint64 `json:"refused"` // requests with status 4XX, 5XX or no response
}

// rates is a ring of counts by second.
type rates struct{ ring [rateSeconds]second }

func (r *rates) at(now time.Time) *second {
	unix := now.Unix()
	s := &r.ring[uint64(unix)%rateSeconds]
	if s.At != unix {
		*s = second{At: unix}
	}
	return s
}

func (r *rates) count(e *Event) {
	s, c := r.at(e.ReceivedAt), e.counts()
	s.Stored, s.Valid, s.Invalid = s.Stored+c.Stored, s.Valid+c.Valid, s.Invalid+c.Invalid
}

func (r *rates) answered(now time.Time, status int) {
	s := r.at(now)
	s.Requests++
	if status == 0 || status >= 400 {
		s.Refused++
	}
}

// last returns the last n seconds, the current one included, the oldest first.
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
