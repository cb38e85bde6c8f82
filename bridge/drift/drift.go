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

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Config says where names are reported.
type Config struct {
	Log *slog.Logger // gets a line when a name is new; default: none
	// Registerer gets bridge_drift_total{event_type,field} and
	// bridge_redacted_total{field}; default: none.
	Registerer prometheus.Registerer
	Now        func() time.Time // default: time.Now
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

// Watch counts. Make one with New; it is safe for concurrent use.
type Watch struct {
	log      *slog.Logger
	now      func() time.Time
	total    *prometheus.CounterVec // bridge_drift_total
	redacted *prometheus.CounterVec // bridge_redacted_total
	seed     maphash.Seed

	mu     sync.Mutex
	items  map[string]map[string]*item // by event type and field
	count  int                         // of items, Other apart
	recent recent
}

type item struct {
	Item
	metric prometheus.Counter
}

// New returns a Watch.
func New(cfg Config) *Watch {
	with := promauto.With(cfg.Registerer)
	w := &Watch{
		log: cmp.Or(cfg.Log, slog.New(slog.DiscardHandler)), now: cfg.Now, seed: maphash.MakeSeed(),
		items: make(map[string]map[string]*item),
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
	if w.now == nil {
		w.now = time.Now
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
	return w.recent.add(sum)
}

// Count counts one event of eventType that has field, or whose type is not
// known where field is empty. Names are those of the event, escapes undone;
// they are cut at 100 bytes, and what is not printable becomes U+FFFD.
func (w *Watch) Count(eventType, field []byte) {
	now := w.now()
	w.mu.Lock()
	i, isNew := w.items[string(eventType)][string(field)], false
	if i == nil { // it is new, or its names are not clean
		i, isNew = w.find(appendClean(nil, eventType), appendClean(nil, field))
	}
	i.Count++
	i.LastSeen = now
	if isNew {
		i.FirstSeen = now
	}
	w.mu.Unlock()
	i.metric.Inc()
	if isNew {
		w.report(i.EventType, i.Field)
	}
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
	w.count = 0
}

// find returns the item of two names, made where there is none and room is left.
func (w *Watch) find(eventType, field []byte) (i *item, isNew bool) {
	if i = w.items[string(eventType)][string(field)]; i != nil {
		return i, false
	}
	names := Item{EventType: string(eventType), Field: string(field)}
	if w.count == MaxItems {
		names = Item{EventType: Other, Field: Other}
		if i = w.items[Other][Other]; i != nil {
			return i, false
		}
	} else {
		w.count++
	}
	i = &item{Item: names, metric: w.total.WithLabelValues(names.EventType, names.Field)}
	if w.items[names.EventType] == nil {
		w.items[names.EventType] = make(map[string]*item)
	}
	w.items[names.EventType][names.Field] = i
	return i, true
}

func (w *Watch) report(eventType, field string) {
	switch {
	case eventType == Other && field == Other:
		w.log.Info("more names are unknown than are counted by name; from here on they are counted together", "limit", MaxItems)
	case field == "":
		w.log.Info("Braze sends an event type that the glossary does not have; it is delivered", "event_type", eventType)
	default:
		w.log.Info("Braze sends a field that the glossary does not have; it is delivered", "event_type", eventType, "field", field)
	}
}

// List returns what was seen since the start or Forget, by event type and field.
func (w *Watch) List() []Item {
	w.mu.Lock()
	list := make([]Item, 0, w.count+1)
	for _, fields := range w.items {
		for _, i := range fields {
			list = append(list, i.Item)
		}
	}
	w.mu.Unlock()
	slices.SortFunc(list, func(a, b Item) int {
		return cmp.Or(strings.Compare(a.EventType, b.EventType), strings.Compare(a.Field, b.Field))
	})
	return list
}
