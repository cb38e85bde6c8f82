package brazesource

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
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
	// Event, UserID, AnonymousID and MessageID are the values of event, userId,
	// anonymousId and messageId as JSON; "" if missing.
	Event, UserID, AnonymousID, MessageID string
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
	names   *object
	err     *Error    // of every request if the custom mapping is malformed
	buffers sync.Pool // of *[]byte, for messages
}

// New returns the transformation of a source without a custom mapping.
func New() *Mapper { return &Mapper{names: &object{}} }

// WithCustomMapping returns the transformation of a source with this setting
// customMapping: a list [{"from":"event type","to":"name"}]. As in RudderStack,
// anything but a list means no mapping, an entry with an empty from is ignored, of
// several for one event type the last one counts, and a list with null in it makes
// every request fail. The error says that text is not JSON.
func WithCustomMapping(text []byte) (*Mapper, error) {
	setting, ok := parse(string(text))
	if !ok {
		return nil, errors.New("the custom mapping is no JSON")
	}
	m := New()
	list, _ := setting.(*array)
	if list == nil {
		return m, nil
	}
	for _, entry := range list.dense {
		if entry == null {
			m.err = &Error{500, "Cannot read properties of null (reading 'from')"}
			return m, nil
		}
		from, _, _ := get(entry, "from")
		if from == nil || from == null {
			continue
		}
		key, err := toString(from)
		if err != nil || trim(key) == "" || key == "__proto__" {
			continue
		}
		to, _, _ := get(entry, "to")
		if !truthy(to) {
			to = null // hides an earlier entry
		}
		m.names.set(key, to)
	}
	return m, nil
}

// Transform makes messages of a request body, in order, and drops the events that
// RudderStack drops. limit is how many bytes the messages may take together. The
// error, of type *Error, refuses the whole request.
func (m *Mapper) Transform(body string, limit int) (Result, error) {
	t := transformation{mapper: m, limit: limit, Walker: jsonlex.Walker{Text: body}}
	out, isBuffer := m.buffers.Get().(*[]byte)
	if !isBuffer {
		out = new([]byte)
	}
	t.out = (*out)[:0]
	defer func() {
		if *out = t.out; cap(*out) <= 1<<20 {
			m.buffers.Put(out)
		}
	}()
	end := t.request(jsonlex.Space(body, 0))
	switch {
	case end == jsonlex.Bad || jsonlex.Space(body, end) != len(body):
		return Result{}, errMalformed
	case m.err != nil:
		return Result{}, m.err
	case !t.listed:
		return Result{}, errNoList
	case t.deepest > deepEnough:
		return Result{Deepest: t.deepest}, nil
	case len(t.made) == 0:
		return Result{}, errAllFailed
	}
	return t.result(), nil
}

// heading is a message with those fields only that are no larger than the event.
func heading(message *object) *object {
	short := &object{}
	for _, key := range []string{"type", "event", "messageId", "anonymousId", "userId"} {
		if v, ok := message.get(key); ok {
			short.set(key, v)
		}
	}
	return short
}

// deepEnough is the nesting beyond which events are only measured.
const deepEnough = 5_000

// transformation is the transformation of one request, in one pass over the body.
type transformation struct {
	jsonlex.Walker
	mapper *Mapper
	limit  int // bytes of all messages

	listed   bool   // events is an array
	out      []byte // the messages, one after the other
	made     []made
	tooLarge bool
	longest  int
	deepest  int
	plain    plainEvent // of the current event
}

// made is where the parts of a message are in out.
type made struct {
	raw                                   string
	message                               span
	event, userID, anonymousID, messageID span
}

// span is a part of out; the zero value is none.
type span struct{ start, end int }

func (s span) of(text string) string { return text[s.start:s.end] }

func (t *transformation) result() Result {
	text := string(t.out)
	r := Result{TooLarge: t.tooLarge, Longest: t.longest, Deepest: t.deepest, Messages: make([]Message, len(t.made))}
	for i, m := range t.made {
		r.Messages[i] = Message{
			JSON: m.message.of(text), Raw: m.raw, Event: m.event.of(text),
			UserID: m.userID.of(text), AnonymousID: m.anonymousID.of(text), MessageID: m.messageID.of(text),
		}
	}
	return r
}

// restart drops the messages so far, for another array of events.
func (t *transformation) restart() {
	t.out, t.made = t.out[:0], t.made[:0]
	t.tooLarge, t.longest, t.deepest = false, 0, 0
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
		t.restart()
		if !t.listed {
			return t.Value(i, depth+1)
		}
		return t.Array(i, depth+1, t.event)
	})
}

// event maps the event that starts at i, unless it is dropped, and returns the index
// behind it.
func (t *transformation) event(i int) (end int) {
	t.Deepest = 0
	if i < len(t.Text) && t.Text[i] == '{' && !t.tooLarge && t.mapper.err == nil {
		if end := t.plain.read(&t.Walker, i); end != jsonlex.Bad {
			t.deepest = max(t.deepest, t.Deepest)
			m := made{raw: t.Text[i:end]}
			if out, ok := t.mapper.plain(t.out, &t.plain, &m); ok && len(out) <= t.limit {
				t.add(out, m)
			} else {
				t.byModel(m.raw)
			}
			return end
		}
	}
	end = t.Value(i, 0)
	t.deepest = max(t.deepest, t.Deepest)
	if end != jsonlex.Bad && t.Text[i] == '{' {
		t.byModel(t.Text[i:end])
	}
	return end
}

// byModel maps an event with the model of JavaScript's objects.
func (t *transformation) byModel(raw string) {
	if t.mapper.err != nil || t.deepest > deepEnough {
		return // the request fails
	}
	event, _ := parseValid(raw).(*object)
	message, err := t.mapper.message(event)
	if err != nil || message == nil {
		return
	}
	w := writer{out: t.out, limit: t.limit}
	if !t.tooLarge {
		w.value(message)
		t.tooLarge = w.full
		t.longest = max(t.longest, w.longest)
	}
	if t.tooLarge {
		w = writer{out: w.out[:len(t.out)], limit: math.MaxInt}
		w.value(heading(message))
	}
	m := made{raw: raw}
	w.find(len(t.out), &m)
	t.add(w.out, m)
}

// add adds the message that was appended to out; if none was, the event is dropped.
func (t *transformation) add(out []byte, m made) {
	if len(out) > len(t.out) {
		m.message = span{len(t.out), len(out)}
		t.made = append(t.made, m)
	}
	t.out = out
}

// mapped are the fields with a place of their own in the message, in the order in
// which they are written.
var mapped = [...]struct{ from, to string }{
	{"id", "messageId"},
	{"user.user_id", "anonymousId"},
	{"user.external_user_id", "userId"},
	{"user.device_id", "context.device.id"},
	{"user.timezone", "context.timezone"},
	{"properties.device_model", "context.device.model"},
	{"properties.os_version", "context.os.version"},
	{"properties.platform", "context.os.name"},
	{"properties.email_address", "traits.email"},
	{"properties.to_phone_number", "traits.phone"},
	{"properties.user_agent", "context.userAgent"},
	{"properties.ad_id", "context.device.advertisingId"},
	{"properties.ad_tracking_enabled", "context.device.adTrackingEnabled"},
}

// message makes the message of one event. It is nil if the event is dropped.
func (m *Mapper) message(event *object) (*object, error) {
	eventType, _ := event.get("event_type")
	if !truthy(eventType) {
		return nil, nil
	}
	name, err := m.name(eventType)
	if err != nil {
		return nil, err
	}
	message, _ := parseValid(skeleton).(*object)
	message.set("event", name)
	for _, field := range mapped {
		v, err := getPath(event, field.from)
		if err != nil {
			return nil, err
		}
		if v == nil || v == null {
			continue
		}
		if err := setPath(message, field.to, v); err != nil {
			return nil, err
		}
	}
	if at, _ := event.get("time"); truthy(at) {
		stamp, err := timestamp(at)
		if err != nil {
			return nil, err
		}
		message.set("timestamp", stamp)
	}
	if err := copyProperties(message, event); err != nil {
		return nil, err
	}
	userID, _ := message.get("userId")
	anonymousID, _ := message.get("anonymousId")
	if !truthy(userID) && !truthy(anonymousID) {
		return nil, nil
	}
	for _, key := range message.ordered() {
		if v, _ := message.get(key); v == null {
			message.delete(key)
		}
	}
	return message, nil
}

// skeleton is the constant part of a message.
const skeleton = `{"context":{"library":{"name":"unknown","version":"unknown"},"integration":{"name":"Braze"}},` +
	`"integrations":{"Braze":false},"type":"track"}`

// name looks up an event type in the custom mapping, which is a JavaScript object:
// inherited properties are found too.
func (m *Mapper) name(eventType value) (value, error) {
	key, err := toString(eventType)
	if err != nil {
		return nil, err
	}
	name, _, err := get(m.names, key)
	if err != nil {
		return nil, err
	}
	if !truthy(name) {
		return eventType, nil
	}
	return name, nil
}

// timestamp makes the time of a message.
func timestamp(at value) (string, error) {
	text, err := toString(at)
	if err != nil {
		return "", err
	}
	const maxSeconds = 8.64e12 // of a JavaScript date
	seconds := parseInt(text)
	if math.IsNaN(seconds) || math.Abs(seconds) > maxSeconds {
		return "Invalid date", nil
	}
	return time.Unix(int64(seconds), 0).UTC().Format("2006-01-02T15:04:05.000Z"), nil
}

// copyProperties reads every property that is not mapped at its path and writes it to
// the same path of the message.
func copyProperties(message, event *object) error {
	properties, _ := event.get("properties")
	for _, key := range keysOf(properties) {
		if placeOf(key) >= 0 {
			continue
		}
		path := "properties." + key
		v, err := getPath(event, path)
		if err != nil {
			return err
		}
		if err := setPath(message, path, v); err != nil {
			return err
		}
	}
	return nil
}

// keysOf is JavaScript's Object.keys: for a string the indices of its characters.
func keysOf(v value) []string {
	n := 0
	switch v := v.(type) {
	case *object:
		return v.ordered()
	case *array:
		n = len(v.dense)
	case string:
		n = utf16Length(v)
	}
	keys := make([]string, n)
	for i := range keys {
		keys[i] = strconv.Itoa(i)
	}
	return keys
}

// utf16Length counts half a surrogate pair, which is three bytes, as one.
func utf16Length(s string) int {
	valid := strings.ToValidUTF8(s, "")
	return len(utf16.Encode([]rune(valid))) + (len(s)-len(valid))/3
}
