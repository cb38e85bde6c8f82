package gateway

import (
	"time"

	"github.com/google/uuid"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// Message is one message that the gateway accepts. Its strings may be parts of the
// request body.
type Message struct {
	Raw     string // the text as received; for the webhook it is the Braze event
	Made    string // the message that the transformation of a webhook made, "" for others
	SetType string // the type that a single call gives its message, "" for others
	// Type, Event, UserID, AnonymousID and MessageID are the message's fields as
	// text (see TextOf). MessageID is cleaned, and a new UUID if there is none.
	Type, Event, UserID, AnonymousID, MessageID string
	RequestIP                                   string // what an earlier message of the batch gave as request_ip
}

// fields are the fields of a message that the gateway checks, as JSON, "" if
// missing.
type fields struct {
	kind, event, userID, anonymousID, messageID, requestIP string
}

func (f *fields) named(key string) *string {
	switch key {
	case "type":
		return &f.kind
	case "event":
		return &f.event
	case "userId":
		return &f.userID
	case "anonymousId":
		return &f.anonymousID
	case "messageId":
		return &f.messageID
	case "request_ip":
		return &f.requestIP
	}
	return nil
}

// message makes a message of its fields. It is not ok if both userId and anonymousId
// are missing, null or invisible, but for the types extract and record. made is the
// message of a webhook, "" for others.
func (f *fields) message(raw, made string) (m Message, ok bool) {
	first := made == ""
	m = Message{
		Raw:         raw,
		Made:        made,
		Type:        textOf(f.kind, first),
		Event:       textOf(f.event, first),
		UserID:      textOf(f.userID, first),
		AnonymousID: textOf(f.anonymousID, first),
	}
	if m.Type != "extract" && m.Type != "record" && Clean(m.UserID) == "" && Clean(m.AnonymousID) == "" {
		return m, false
	}
	if f.messageID != "" && f.messageID[0] == '"' {
		m.MessageID = Clean(textOf(f.messageID, first))
	}
	if m.MessageID == "" {
		m.MessageID = uuid.NewString()
	}
	return m, true
}

// Text is the message before the gateway's changes.
func (m *Message) Text() string {
	if m.Made != "" {
		return m.Made
	}
	return m.Raw
}

// Stored returns the message as RudderStack stores it: numbers read as float64,
// keys sorted, half surrogate pairs replaced, messageId cleaned or made up, and
// receivedAt, request_ip and rudderId added.
func (m *Message) Stored(receivedAt time.Time, requestIP string) []byte {
	message, _ := decode(m.Text(), m.Made == "").(map[string]any)
	if message == nil {
		message = map[string]any{}
	}
	if m.SetType != "" {
		message["type"] = m.SetType
	}
	message["messageId"] = m.MessageID
	message["rudderId"] = RudderID(m.UserID, m.AnonymousID)
	for key, value := range map[string]string{
		"receivedAt": receivedAt.UTC().Format("2006-01-02T15:04:05.000Z07:00"),
		"request_ip": requestIP,
	} {
		if _, given := message[key]; !given {
			message[key] = value
		}
	}
	text, err := Marshal(message)
	if err != nil {
		return []byte("null")
	}
	return text
}

// AppendText appends Text with the type that a single call gives it.
func (m *Message) AppendText(to []byte) []byte {
	text := m.Text()
	if m.SetType == "" {
		return append(to, text...)
	}
	end := len(text) - 1 // a single call has an object that ends here
	to = append(to, text[:end]...)
	if jsonlex.Space(text, 1) < end {
		to = append(to, ',')
	}
	to = append(to, `"type":"`...)
	to = append(to, m.SetType...)
	return append(to, `"}`...)
}
