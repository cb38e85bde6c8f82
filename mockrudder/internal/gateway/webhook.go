package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
	"github.com/currentsbridge/currentsbridge/mockrudder/brazesource"
)

// What the source transformation chokes on, as it was recorded.
const (
	deepest  = 5_000      // levels of nesting inside an event; beyond them it answers 500
	slowList = 5_000_000  // elements that a whole number as a property key makes; beyond them 413 takes five seconds
	hugeList = 10_000_000 // and beyond these the connection is closed: somewhere up to 20 million
)

// Outcome is what became of a webhook request. Nothing of it is stored unless
// Refusal is nil and Closed is false.
type Outcome struct {
	Messages []Message
	Refusal  *Refusal
	// Closed is a connection that is closed without an answer.
	Closed bool
	// After is how long the real transformation worked until then.
	After time.Duration
	// Spreads says that the requests that reach the transformer in the same 20
	// ms get the same answer.
	Spreads bool
}

// WebhookSize is how many bytes a webhook request counts: RudderStack hands it to
// the transformer as a JSON document, headers included, and measures that. It
// does not add up what is beyond MaxRequestBytes any more.
func WebhookSize(r *http.Request, body string) int {
	// No body of this size can be too large, whatever it holds and beside any
	// headers that a server reads.
	const largestEscape, mostHeaders = 6, 600_000
	if len(body)*largestEscape+mostHeaders <= MaxRequestBytes || len(body) > MaxRequestBytes {
		return len(body)
	}
	frame, err := json.Marshal(struct {
		Method  string      `json:"method"`
		URL     string      `json:"url"`
		Proto   string      `json:"proto"`
		Headers http.Header `json:"headers"`
		Query   url.Values  `json:"query_parameters"`
		Body    string      `json:"body"`
	}{r.Method, r.URL.RequestURI(), r.Proto, r.Header, r.URL.Query(), body})
	if err != nil {
		return len(body)
	}
	return len(frame)
}

// Webhook takes the body of a request to the webhook of a Braze source, the
// request's own size apart (see WebhookSize).
func Webhook(mapper *brazesource.Mapper, body string) Outcome {
	body, no := transported(body)
	if no != nil {
		return Outcome{Refusal: no}
	}
	result, err := mapper.Transform(body, MaxRequestBytes)
	var refused *brazesource.Error
	switch {
	case result.Deepest > deepest:
		return Outcome{Refusal: &Refusal{http.StatusInternalServerError, "Maximum call stack size exceeded"}, Spreads: true}
	case result.Longest >= hugeList:
		return Outcome{Closed: true, After: 11 * time.Second}
	case errors.As(err, &refused):
		return Outcome{Refusal: &Refusal{refused.Status, refused.Text}}
	case err != nil:
		return Outcome{Refusal: &Refusal{http.StatusInternalServerError, err.Error()}}
	}
	messages, no := transformed(result)
	out := Outcome{Messages: messages, Refusal: no}
	if result.Longest >= slowList {
		out.After = 5 * time.Second
	}
	return out
}

// transformed is what the gateway makes of the batch that the transformation
// hands it: the checks of the HTTP API, the size last.
func transformed(result brazesource.Result) ([]Message, *Refusal) {
	size := len(`{"batch":[]}`) + max(len(result.Messages)-1, 0) // the commas
	messages := make([]Message, 0, len(result.Messages))
	for _, made := range result.Messages {
		found := fields{
			kind: `"track"`, event: made.Event, userID: made.UserID, anonymousID: made.AnonymousID, messageID: made.MessageID,
		}
		m, ok := found.message(made.Raw, made.JSON)
		if !ok {
			return nil, NoIdentity
		}
		messages = append(messages, m)
		size += len(made.JSON)
	}
	if result.TooLarge || size > MaxRequestBytes {
		return nil, TooLarge
	}
	return messages, nil
}

// transported does to a body what the way to the transformer does to it.
// RudderStack puts the body as a text into a JSON document, takes every \u0000
// out of that, and hands it on. The backslash before the one that goes stays
// behind and takes the next character with it, so that an event with a \u0000
// breaks the whole request.
func transported(body string) (arrived string, no *Refusal) {
	const nul = `\u0000`
	if !strings.Contains(body, nul) && strings.IndexByte(body, 0) < 0 {
		return body, nil
	}
	document, err := json.Marshal(body)
	if err != nil {
		return "", InvalidJSON
	}
	cleaned := strings.ReplaceAll(string(document), nul, "")
	if !jsonlex.Valid(cleaned) {
		return "", InvalidJSON
	}
	return jsonlex.Text(cleaned), nil
}
