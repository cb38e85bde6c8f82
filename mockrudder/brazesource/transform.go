// Package brazesource makes RudderStack messages of a request of Braze exactly as
// RudderStack's own Braze source does (transformer 1.145, observed in 2026).
//
// It is not a model of a good mapping: it drops events silently, rounds numbers above
// 2^53, and uses a property's name as a path, so that a dot, a slash, a backslash or
// a whole number in a name moves or loses values. Use it to see what RudderStack would
// make of a request.
//
// What it does not do: the checks and changes of the gateway after the transformation
// (blank ids, \u0000, half surrogate pairs). Objects nested deeper than 100,000 levels
// count as malformed. It ignores writes to JavaScript's built-in functions, which in
// RudderStack affect later events.
package brazesource

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// Error is a response of the transformation that refuses a whole request.
type Error struct {
	Status int    // of the HTTP response
	Text   string // its body
}

func (e *Error) Error() string { return fmt.Sprintf("%d %s", e.Status, e.Text) }

// The refusals of the transformation.
var (
	errMalformed = &Error{400, "Malformed JSON in request body"}
	errNoList    = &Error{400, "eventList should be an array"}
	errAllFailed = &Error{400, "All requests in the batch failed"}
)

// Message is one RudderStack message and the Braze event from which it was made.
type Message struct {
	JSON string // the message
	Raw  string // the event's text as it stood in the body
}

// Result is the result of the transformation of one request.
type Result struct {
	Messages []Message
	// TooLarge says that the messages take more bytes than the limit. From the first
	// one beyond it on, messages have only their type, event and ids, so that the
	// result is bounded.
	TooLarge bool
	// Longest is the length of the longest array that a whole number as a property
	// key made, up to the first message that is too large.
	Longest int
	// Deepest is the depth of nesting inside the events. Beyond 5,000 levels there
	// are no messages, as RudderStack's transformer fails then.
	Deepest int
}

// Mapper is the transformation of a Braze source with its custom mapping. It is safe
// for concurrent use.
type Mapper struct {
	names map[string]value
	err   *Error // of every request if the custom mapping is malformed
}

// New returns the transformation of a source without a custom mapping.
func New() *Mapper { return &Mapper{names: map[string]value{}} }

// WithCustomMapping returns the transformation of a source with this setting
// customMapping: a list [{"from":"event type","to":"name"}]. As in RudderStack,
// anything but a list means no mapping, an entry with an empty from is ignored, of
// several for one event type the last one counts, and a list with null in it makes
// every request fail. The error says that text is not JSON.
func WithCustomMapping(text []byte) (*Mapper, error) {
	p := parser{Walker: jsonlex.Walker{Text: string(text)}}
	setting, end := p.value(jsonlex.Space(text, 0), 0)
	if end == jsonlex.Bad || jsonlex.Space(text, end) != len(text) {
		return nil, errors.New("the custom mapping is no JSON")
	}
	m := New()
	if setting.object == nil || setting.object.class != array {
		return m, nil
	}
	for _, element := range setting.object.members {
		entry := element.value
		if entry == null {
			m.err = &Error{500, "Cannot read properties of null (reading 'from')"}
			return m, nil
		}
		var key string
		from, _ := get(entry, "from")
		if from.undefined() || from == null || throws(func() { key = toString(from) }) || trim(key) == "" || key == "__proto__" {
			continue
		}
		m.names[key], _ = get(entry, "to") // a falsy one hides an earlier entry, and what is inherited
	}
	return m, nil
}

// Transform makes messages of a request body, in order, and drops the events that
// RudderStack drops. limit is how many bytes the messages may take together. The
// error, of type *Error, refuses the whole request.
func (m *Mapper) Transform(body string, limit int) (Result, error) {
	t := transformation{parser: parser{Walker: jsonlex.Walker{Text: body}}, mapper: m, limit: limit}
	end := t.request(jsonlex.Space(body, 0))
	switch {
	case end == jsonlex.Bad || jsonlex.Space(body, end) != len(body):
		return Result{}, errMalformed
	case m.err != nil:
		return Result{}, m.err
	case !t.listed:
		return Result{}, errNoList
	case t.result.Deepest > deepEnough:
		return Result{Deepest: t.result.Deepest}, nil
	case len(t.result.Messages) == 0:
		return Result{}, errAllFailed
	}
	return t.result, nil
}

// heading is a message with those fields only that are no larger than the event.
func heading(message *object) *object {
	short := &object{}
	for _, key := range []string{"type", "event", "messageId", "anonymousId", "userId"} {
		if v := message.get(key); !v.undefined() {
			short.set(key, v)
		}
	}
	return short
}

// deepEnough is the nesting beyond which events are only measured.
const deepEnough = 5_000

// transformation is the transformation of one request, in one pass over the body.
type transformation struct {
	parser

	mapper *Mapper
	limit  int // bytes of all messages

	listed bool // events is an array
	result Result
	size   int       // bytes of the messages so far
	out    []byte    // of the current message
	path   []segment // the one to write to
}

// request reads the whole body and maps the events. Of an array the first element
// counts.
func (t *transformation) request(i int) (end int) {
	if i >= len(t.Text) || t.Text[i] != '[' {
		return t.envelope(i, 0)
	}
	first := true
	return t.Array(i, 0, func(i int) int {
		if first {
			first = false
			return t.envelope(i, 1)
		}
		return t.Value(i, 1)
	})
}

func (t *transformation) envelope(i, depth int) (end int) {
	if i >= len(t.Text) || t.Text[i] != '{' {
		return t.Value(i, depth)
	}
	return t.Object(i, depth, func(key string, i int) int {
		if key != "events" {
			return t.Value(i, depth+1)
		}
		t.listed = i < len(t.Text) && t.Text[i] == '[' // of duplicate keys the last one counts
		t.result, t.size = Result{}, 0
		if !t.listed {
			return t.Value(i, depth+1)
		}
		return t.Array(i, depth+1, t.event)
	})
}

// event maps the event that starts at i, unless it is dropped, and returns the index
// behind it.
func (t *transformation) event(i int) (end int) {
	t.Deepest, t.used = 0, 0
	event, end := t.value(i, 0)
	t.result.Deepest = max(t.result.Deepest, t.Deepest)
	if end == jsonlex.Bad || t.Text[i] != '{' || t.mapper.err != nil || t.result.Deepest > deepEnough {
		return end // no event, or the request fails
	}
	var message *object
	if throws(func() { message = t.message(event.object) }) || message == nil {
		return end
	}
	w := writer{out: t.out[:0], limit: t.limit - t.size}
	if !t.result.TooLarge {
		w.value(value{object: message})
		t.result.TooLarge = w.full
		t.result.Longest = max(t.result.Longest, w.longest)
		t.size += len(w.out)
	}
	if t.result.TooLarge {
		w = writer{out: w.out[:0], limit: math.MaxInt}
		w.value(value{object: heading(message)})
	}
	t.out = w.out
	t.result.Messages = append(t.result.Messages, Message{string(w.out), t.Text[i:end]})
	return end
}

// mapped are the fields, but for the id, with a place of their own in the message, in
// the order in which they are written.
var mapped = []struct {
	section, name string
	to            []segment
}{
	{"user", "user_id", appendPath(nil, "anonymousId", "")},
	{"user", "external_user_id", appendPath(nil, "userId", "")},
	{"user", "device_id", appendPath(nil, "context", "device.id")},
	{"user", "timezone", appendPath(nil, "context", "timezone")},
	{"properties", "device_model", appendPath(nil, "context", "device.model")},
	{"properties", "os_version", appendPath(nil, "context", "os.version")},
	{"properties", "platform", appendPath(nil, "context", "os.name")},
	{"properties", "email_address", appendPath(nil, "traits", "email")},
	{"properties", "to_phone_number", appendPath(nil, "traits", "phone")},
	{"properties", "user_agent", appendPath(nil, "context", "userAgent")},
	{"properties", "ad_id", appendPath(nil, "context", "device.advertisingId")},
	{"properties", "ad_tracking_enabled", appendPath(nil, "context", "device.adTrackingEnabled")},
}

// mappedProperties has the names of those that are properties.
var mappedProperties = func() *object {
	names := &object{}
	for _, field := range mapped {
		if field.section == "properties" {
			names.set(field.name, null)
		}
	}
	return names
}()

// The constant parts of a message, which no path leads to.
var (
	library      = value{json: `{"name":"unknown","version":"unknown"}`}
	integration  = value{json: `{"name":"Braze"}`}
	integrations = value{json: `{"Braze":false}`}
	track        = value{json: `"track"`}
)

// message makes the message of one event. It is nil if the event is dropped.
func (t *transformation) message(event *object) *object {
	eventType := event.get("event_type")
	if !truthy(eventType) {
		return nil
	}
	context, message := t.make(plain), t.make(plain)
	context.set("library", library)
	context.set("integration", integration)
	message.set("context", value{object: context})
	message.set("integrations", integrations)
	message.set("type", track)
	message.set("event", t.mapper.name(eventType))
	if id := event.get("id"); !id.undefined() {
		message.set("messageId", id)
	}
	user, properties := event.get("user"), event.get("properties")
	for i := range mapped {
		field, within := &mapped[i], user
		if field.section == "properties" {
			within = properties
		}
		if v := getPath(event, field.section, within, field.name); !v.undefined() && v != null {
			t.setPath(message, field.to, v)
		}
	}
	if at := event.get("time"); truthy(at) {
		message.set("timestamp", value{json: timestamp(at)})
	}
	t.copyProperties(message, event, properties)
	if !truthy(message.get("userId")) && !truthy(message.get("anonymousId")) {
		return nil
	}
	for _, m := range message.ordered() {
		if m.value == null {
			message.delete(m.key)
		}
	}
	return message
}

// name looks up an event type in the custom mapping, which is a JavaScript object:
// inherited properties are found too.
func (m *Mapper) name(eventType value) value {
	key := toString(eventType)
	name, ok := m.names[key]
	if !ok {
		name, _ = inherited(plain, key)
	}
	if truthy(name) {
		return name
	}
	return eventType
}

// timestamp makes the time of a message, as JSON.
func timestamp(at value) string {
	const maxSeconds = 8.64e12 // of a JavaScript date
	seconds := parseInt(toString(at))
	if math.IsNaN(seconds) || math.Abs(seconds) > maxSeconds {
		return `"Invalid date"`
	}
	text := time.Unix(int64(seconds), 0).UTC().AppendFormat(append(make([]byte, 0, 32), '"'), time.RFC3339)
	return string(append(text[:len(text)-len("Z")], `.000Z"`...))
}

// copyProperties reads every property that is not mapped at its path and writes it to
// the same path of the message.
func (t *transformation) copyProperties(message, event *object, properties value) {
	const section = "properties"
	for _, property := range entries(properties) {
		if mappedProperties.find(property.key) >= 0 {
			continue
		}
		v := getPath(event, section, properties, property.key)
		t.path = appendPath(t.path[:0], section, property.key)
		t.setPath(message, t.path, v)
	}
}

// entries are the members whose keys JavaScript's Object.keys gives; of a string they
// are the indices of its characters.
func entries(v value) (list []member) {
	switch {
	case v.object != nil:
		return v.object.ordered()
	case strings.HasPrefix(v.json, `"`):
		for i := range uint32(utf16Length(unquote(v.json))) {
			list = append(list, member{key: indexKey(i)})
		}
	}
	return list
}

// utf16Length counts half a surrogate pair, which is three bytes, as one.
func utf16Length(s string) int {
	valid := strings.ToValidUTF8(s, "")
	return len(utf16.Encode([]rune(valid))) + (len(s)-len(valid))/3
}
