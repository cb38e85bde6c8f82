package mockrudder

import (
	"strings"

	"github.com/google/uuid"

	"github.com/currentsbridge/currentsbridge/mockrudder/internal/jsonscan"
)

// fields are the parts of a message that the gateway decides by, as raw JSON
// values, "" where they are missing.
type fields struct {
	kind, event, userID, anonymousID, messageID string
}

// scanMessage finds the fields of the object that starts at i and returns the
// index behind it, or jsonscan.Bad. Of a key given twice the last one counts.
func scanMessage(s string, i, depth int) (fields, int) {
	var f fields
	end := jsonscan.Object(s, i, depth, func(key string, start int) int {
		end := jsonscan.Value(s, start, depth+1)
		if end == jsonscan.Bad {
			return end
		}
		switch key {
		case "type":
			f.kind = s[start:end]
		case "event":
			f.event = s[start:end]
		case "userId":
			f.userID = s[start:end]
		case "anonymousId":
			f.anonymousID = s[start:end]
		case "messageId":
			f.messageID = s[start:end]
		}
		return end
	})
	return f, end
}

// newEvent makes what is stored of a message. It is not ok where the message
// has neither a userId nor an anonymousId: missing, null and blank ones count
// as none, and messages of type extract need none.
func newEvent(raw string, f fields) (e Event, ok bool) {
	e = Event{
		Raw:         raw,
		Type:        textOf(f.kind),
		Name:        textOf(f.event),
		UserID:      textOf(f.userID),
		AnonymousID: textOf(f.anonymousID),
	}
	if e.Type != "extract" && strings.TrimSpace(e.UserID) == "" && strings.TrimSpace(e.AnonymousID) == "" {
		return e, false
	}
	if f.messageID != "" && f.messageID[0] == '"' {
		e.MessageID = strings.TrimSpace(jsonscan.Text(f.messageID))
	}
	if e.MessageID == "" {
		e.MessageID = uuid.NewString()
	}
	return e, true
}
