// Package drift notices what Braze sends beyond the glossary: event types and
// fields that came later. They are delivered like all others; here they are
// counted by name. Ids and traits that Braze has redacted are counted beside.
package drift

import (
	"cmp"
	"hash/maphash"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Config says where names are reported.
type Config struct {
	Log *slog.Logger // gets a line when a name is new; default: none
	// Registerer gets bridge_drift_total{event_type,field} and
	// bridge_redacted_total{field}; default: none.
	Registerer prometheus.Registerer
}

// Item is one name that the glossary does not have.
type Item struct {
	EventType string    `json:"event_type"`
	Field     string    `json:"field"` // empty: the event type itself is not known
	Count     uint64    `json:"count"` // events
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
}

// Other stands for the event type, and for the field, of everything that came
// after MaxItems names.
const Other = "(other)"

// MaxItems is how many names are counted by themselves. Names come from
// outside, and each is a time series of its own.
const MaxItems = 200

// maxName is how long a name may be, in bytes.
const maxName = 100

// maxRecent is more than the events that are on their way to RudderStack at one
// time.
const maxRecent = 16 << 10

// Watch counts. Make one with New; it is safe for concurrent use.
type Watch struct {
	log      *slog.Logger
	total    *prometheus.CounterVec // bridge_drift_total
	redacted *prometheus.CounterVec // bridge_redacted_total
	seed     maphash.Seed

	mu    sync.Mutex
	items map[names]*item
	// Sums of the last events that were to be counted, maxRecent at least: when
	// newer is full it becomes older.
	newer, older map[uint64]bool
}

type names struct{ eventType, field string }

type item struct {
	Item
	metric prometheus.Counter
}

// New returns a Watch.
func New(cfg Config) *Watch {
	with := promauto.With(cfg.Registerer)
	w := &Watch{
		log: cmp.Or(cfg.Log, slog.New(slog.DiscardHandler)), seed: maphash.MakeSeed(),
		items: map[names]*item{}, newer: map[uint64]bool{}, older: map[uint64]bool{},
		total: with.NewCounterVec(prometheus.CounterOpts{
			Name: "bridge_drift_total",
			Help: "Events delivered with an event type (empty field) or a field that the glossary does not have.",
		}, []string{"event_type", "field"}),
		redacted: with.NewCounterVec(prometheus.CounterOpts{
			Name: "bridge_redacted_total",
			Help: "Events of which an id or a trait is not in the message, because Braze has redacted it.",
		}, []string{"field"}),
	}
	for _, field := range RedactedFields() {
		w.redacted.WithLabelValues(field)
	}
	return w
}

// Begin reports whether an event with something unknown in it is to be counted:
// not where the same bytes are among the last 16,384 such events, as they are
// when an event is mapped again for a retry.
func (w *Watch) Begin(event []byte) bool {
	sum := maphash.Bytes(w.seed, event)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.newer[sum] || w.older[sum] {
		return false
	}
	if len(w.newer) == maxRecent {
		w.newer, w.older = w.older, w.newer
		clear(w.newer)
	}
	w.newer[sum] = true
	return true
}

// Count counts one event of eventType that has field, or whose type is not
// known where field is empty. Names are those of the event, escapes undone;
// they are cut at 100 bytes, and what is not printable becomes U+FFFD.
func (w *Watch) Count(eventType, field []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	i := w.items[names{string(eventType), string(field)}]
	if i == nil { // it is new, or its names are not clean
		i = w.find(names{clean(eventType), clean(field)}, now)
	}
	i.Count++
	i.LastSeen = now
	i.metric.Inc()
}

// find returns the item of two names, made where there is none: that of Other where no
// room is left.
func (w *Watch) find(n names, now time.Time) *item {
	if w.items[n] == nil && len(w.items) >= MaxItems {
		n = names{Other, Other}
	}
	i := w.items[n]
	if i != nil {
		return i
	}
	switch {
	case n == names{Other, Other}:
		w.log.Info("more names are unknown than are counted by name; from here on they are counted together", "limit", MaxItems)
	case n.field == "":
		w.log.Info("Braze sends an event type that the glossary does not have; it is delivered", "event_type", n.eventType)
	default:
		w.log.Info("Braze sends a field that the glossary does not have; it is delivered", "event_type", n.eventType, "field", n.field)
	}
	i = &item{
		Item:   Item{EventType: n.eventType, Field: n.field, FirstSeen: now},
		metric: w.total.WithLabelValues(n.eventType, n.field),
	}
	w.items[n] = i
	return i
}

// clean returns a name as it may stand in a label or a line of the log.
func clean(name []byte) string {
	name = name[:min(len(name), 2*maxName)] // of which at least maxName bytes are left
	text := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, string(name))
	return strings.ToValidUTF8(text[:min(len(text), maxName)], "")
}

// RedactedFields lists what Redacted counts; traits are those of an identify
// call.
func RedactedFields() [8]string {
	return [...]string{
		"id", "user.user_id", "user.external_user_id", "user.device_id",
		"properties.ad_id", "properties.email_address", "properties.to_phone_number", "traits",
	}
}

// Redacted counts one event in which Braze has redacted one of RedactedFields,
// so that the message does not have it.
func (w *Watch) Redacted(field string) { w.redacted.WithLabelValues(field).Inc() }

// Forget starts from zero, for a newer glossary. The metric keeps its counts.
func (w *Watch) Forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.items)
}

// List returns what was seen since the start or Forget, by event type and field.
func (w *Watch) List() []Item {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]Item, 0, len(w.items))
	for _, i := range w.items {
		list = append(list, i.Item)
	}
	slices.SortFunc(list, func(a, b Item) int {
		return cmp.Or(strings.Compare(a.EventType, b.EventType), strings.Compare(a.Field, b.Field))
	})
	return list
}
