package mockrudder

import (
	"bytes"
	"crypto/md5"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/currentsbridge/currentsbridge/mockrudder/internal/jsonscan"
)

// Event is one message that the gateway stored, with the verdict on it.
type Event struct {
	// Source is the write key of the source it came in by.
	Source string
	// Raw is the text as it was received: the element of the batch, the body
	// of a single call, or the Braze event of a webhook request.
	Raw string
	// ReceivedAt is when the request was taken.
	ReceivedAt time.Time
	// TestID is what the request said in its header X-Test-ID, "" for nothing.
	TestID string

	// Type, Name (the message's event), UserID, AnonymousID and MessageID are
	// the message's own fields as text: "" where missing or null, JSON where
	// the value is no string. MessageID is never empty.
	Type, Name, UserID, AnonymousID, MessageID string

	// Judged is false on a server without validation; Valid and Errors say
	// nothing then.
	Judged bool
	// Valid is whether the message keeps to the schema of its type, and, for
	// what came in by a webhook, whether the Braze event keeps to its own.
	Valid bool
	// Errors says where it does not.
	Errors []Finding
	// Drift lists fields and event types that the glossary does not know. It
	// makes nothing invalid.
	Drift []Finding

	seq       uint64
	finished  string // the message before the gateway's own changes where that is not Raw
	setType   string // the type that a single call gives its message
	requestIP string
	share     int // of the bytes of the request body, which Raw is a part of
}

// Finding is one place that a verdict is about.
type Finding struct {
	Path   string `json:"path"`   // JSON pointer (RFC 6901)
	Rule   string `json:"rule"`   // the schema's keyword, such as required or type
	Detail string `json:"detail"` // what was expected and what came
	// In says what Path points into: "message", "event" for the Braze event of
	// a webhook request, or "plan" for the message, by the tracking plan.
	In string `json:"in"`
}

// Message returns the message as RudderStack would store it: numbers read as
// float64, keys sorted, half surrogate pairs replaced, messageId trimmed or
// made up, and receivedAt, request_ip and rudderId added. It is made anew on
// every call, so that taking messages in costs less.
func (e Event) Message() json.RawMessage {
	message := decodeObject(e.text())
	if e.setType != "" {
		message["type"] = e.setType
	}
	message["messageId"] = e.MessageID
	setUnlessText(message, "receivedAt", e.ReceivedAt.UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	setUnlessText(message, "request_ip", e.requestIP)
	message["rudderId"] = rudderID(e.UserID, e.AnonymousID)
	return encode(message)
}

// text is the message as it was when the gateway got it.
func (e *Event) text() string {
	if e.finished != "" {
		return e.finished
	}
	return e.Raw
}

func setUnlessText(message map[string]any, key, value string) {
	if _, given := message[key].(string); !given {
		message[key] = value
	}
}

// rudderID is the MD5 of both ids as a UUID, as RudderStack makes it.
func rudderID(userID, anonymousID string) string {
	return uuid.UUID(md5.Sum([]byte(strings.TrimSpace(userID) + ":" + strings.TrimSpace(anonymousID)))).String()
}

// decodeObject reads an object, which is empty where the text is none.
func decodeObject(text string) map[string]any {
	object, _ := decode(text).(map[string]any)
	if object == nil {
		object = map[string]any{}
	}
	return object
}

// decode reads JSON the way the gateway does: every number is a float64. A
// number beyond float64 becomes null.
func decode(text string) any {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil
	}
	return floats(value)
}

func floats(value any) any {
	switch v := value.(type) {
	case json.Number:
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil && math.IsInf(f, 0) {
			return nil
		}
		return f
	case []any:
		for i := range v {
			v[i] = floats(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = floats(v[key])
		}
	}
	return value
}

// encode writes JSON with sorted keys and without HTML escapes.
func encode(value any) json.RawMessage {
	text, err := marshal(value)
	if err != nil {
		return json.RawMessage("null")
	}
	return text
}

func marshal(value any) ([]byte, error) {
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte{'\n'}), nil
}

// textOf returns a JSON value as text, as the gateway compares ids: a string's
// content, nothing for null or a missing value, JSON otherwise.
func textOf(raw string) string {
	switch {
	case raw == "" || raw == "null":
		return ""
	case raw[0] == '"':
		return jsonscan.Text(raw)
	}
	return string(encode(decode(raw)))
}
