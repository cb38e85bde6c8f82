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

// Limits of the source transformation, as recorded.
const (
	deepest  = 5_000      // levels of nesting inside an event; beyond them it answers 500
	slowList = 5_000_000  // elements that a whole number as a property key makes; beyond them 413 takes five seconds
	hugeList = 10_000_000 // and beyond these the connection is closed: somewhere up to 20 million
)

// Outcome is the result of a webhook request. Nothing is stored unless Refusal is nil
// and Closed is false.
type Outcome struct {
	Messages []Message
	Refusal  *Refusal
	Closed   bool          // a connection that is closed without a response
	After    time.Duration // how long the real transformation takes for it
	// Spreads says that requests of the same call to the transformer get the same
	// response.
	Spreads bool
}

// WebhookSize is the size of a webhook request as RudderStack counts it: that of the
// JSON document for the transformer, headers included. Of a body beyond
// MaxRequestBytes it is the size of the body.
func WebhookSize(r *http.Request, body string) int {
	// A small body cannot become too large, with any content and headers.
	const largestEscape, mostHeaders = 6, 600_000
	if len(body)*largestEscape+mostHeaders <= MaxRequestBytes || len(body) > MaxRequestBytes {
		return len(body)
	}
	frame, _ := json.Marshal(struct {
		Method  string      `json:"method"`
		URL     string      `json:"url"`
		Proto   string      `json:"proto"`
		Headers http.Header `json:"headers"`
		Query   url.Values  `json:"query_parameters"`
		Body    string      `json:"body"`
	}{r.Method, r.URL.RequestURI(), r.Proto, r.Header, r.URL.Query(), body})
	return len(frame)
}

// Webhook processes the body of a request to the webhook of a Braze source. It does
// not check the request's own size (see WebhookSize).
func Webhook(mapper *brazesource.Mapper, body string) Outcome {
	body, refusal := transported(body)
	if refusal != nil {
		return Outcome{Refusal: refusal}
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
	}
	messages, refusal := transformed(result)
	out := Outcome{Messages: messages, Refusal: refusal}
	if result.Longest >= slowList {
		out.After = 5 * time.Second
	}
	return out
}

// transformed checks the result of the transformation as the HTTP API does, the size
// last.
func transformed(result brazesource.Result) ([]Message, *Refusal) {
	size := len(`{"batch":[]}`) + max(len(result.Messages)-1, 0) // the commas
	messages := make([]Message, 0, len(result.Messages))
	for _, made := range result.Messages {
		var found fields
		find(made.JSON, found.named)
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

// transported returns a body as it reaches the transformer. RudderStack puts it as a
// string into a JSON document and deletes every \u0000 there. Of an escaped \u0000 a
// backslash is left, which escapes the next character, so that an event with a
// \u0000 makes the whole request malformed.
func transported(body string) (arrived string, no *Refusal) {
	const nul = `\u0000`
	if !strings.Contains(body, nul) && strings.IndexByte(body, 0) < 0 {
		return body, nil
	}
	document, _ := json.Marshal(body)
	cleaned := strings.ReplaceAll(string(document), nul, "")
	if !jsonlex.Valid(cleaned) {
		return "", InvalidJSON
	}
	return jsonlex.Text(cleaned), nil
}
