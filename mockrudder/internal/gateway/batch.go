package gateway

import (
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// The HTTP API. RudderStack checks in this order: JSON, the type of the batch, each
// message in turn (an object? an identity?), the size, and last numbers beyond
// float64. One bad message refuses the whole request.

// Parser reads the messages of a body, or says how the request is refused.
type Parser func(body string) ([]Message, *Refusal)

// find finds members of a text, if it is an object, and says whether it is JSON. Of
// duplicate keys the first one counts.
func find(text string, named func(key string) *string) (w jsonlex.Walker, ok bool) {
	w.Text = text
	start := jsonlex.Space(text, 0)
	var end int
	if strings.HasPrefix(text[start:], "{") {
		end = w.Fields(start, 0, true, named)
	} else {
		end = w.Value(start, 0)
	}
	return w, end != jsonlex.Bad && jsonlex.Space(text, end) == len(text)
}

// batchOf returns what is under the key batch of a body, "" for nothing.
func batchOf(body string) (value string, w jsonlex.Walker, ok bool) {
	w, ok = find(body, func(key string) *string {
		if key == "batch" {
			return &value
		}
		return nil
	})
	return value, w, ok
}

// elements are the messages under batch: those of a list, or one.
func elements(value string) (list []string) {
	if value == "" || value[0] != '[' {
		return []string{value}
	}
	w := jsonlex.Walker{Text: value}
	w.Array(0, 0, func(i int) int {
		end := w.Value(i, 1)
		list = append(list, value[i:end])
		return end
	})
	return list
}

// Batch is the Parser of /v1/batch.
func Batch(body string) (messages []Message, no *Refusal) {
	value, w, ok := batchOf(body)
	list := elements(value)
	switch {
	case !ok:
		return nil, InvalidJSON
	case value == "" || value == "null" || len(list) == 0:
		return nil, EmptyBatch
	}
	ip, audience := "", false // an audience list has no size limit
	for _, text := range list {
		if text[0] != '{' {
			return nil, NotRudderEvent
		}
		var found fields
		find(text, found.named)
		m, ok := found.message(text, "")
		if !ok {
			return nil, NoIdentity
		}
		if strings.HasPrefix(found.requestIP, `"`) { // also for the following messages
			ip = TextOf(found.requestIP)
		}
		m.RequestIP = ip
		audience = audience || m.Type == "audiencelist"
		messages = append(messages, m)
	}
	switch {
	case len(body) > MaxRequestBytes && !audience:
		return nil, TooLarge
	case w.Huge:
		return nil, InvalidJSON
	}
	return messages, nil
}

// Single returns the Parser of a call with one message. The path gives the message
// its type, whatever type it has itself.
func Single(kind string) Parser {
	const wrapper = 20 // bytes that RudderStack writes around the message
	quoted := `"` + kind + `"`
	return func(body string) ([]Message, *Refusal) {
		var found fields
		w, ok := find(body, found.named)
		text := strings.Trim(body, " \n\t\r")
		switch {
		case !ok:
			return nil, InvalidJSON
		case text[0] == '[':
			return nil, NotRudderEvent
		}
		size := len(body) + wrapper + len(quoted) - len(found.kind)
		if found.kind == "" {
			size += len(`,"type":`)
		}
		found.kind = quoted
		m, ok := found.message(text, "")
		switch {
		case !ok:
			return nil, NoIdentity
		case size > MaxRequestBytes && kind != "audiencelist":
			return nil, TooLarge
		case w.Huge:
			return nil, InvalidJSON
		}
		m.SetType = kind
		return []Message{m}, nil
	}
}

// Groups splits the body of /v1/import: the messages of each pair of userId and
// anonymousId become a batch, in the order of their first messages. An object under
// batch counts as the list of its values, any other value as one message.
func Groups(body string) (batches []string, no *Refusal) {
	value, _, ok := batchOf(body)
	if !ok {
		return nil, InvalidJSON
	}
	list := elements(value)
	switch {
	case value == "":
		list = nil
	case value[0] == '{':
		list = nil
		w := jsonlex.Walker{Text: value}
		w.Object(0, 0, func(_ string, i int) int {
			end := w.Value(i, 1)
			list = append(list, value[i:end])
			return end
		})
	}
	members := map[string][]string{}
	var order []string
	for _, text := range list {
		var found fields
		find(text, found.named)
		user := TextOf(found.userID) + ":" + TextOf(found.anonymousID)
		if members[user] == nil {
			order = append(order, user)
		}
		members[user] = append(members[user], text)
	}
	for _, user := range order {
		batches = append(batches, `{"batch":[`+strings.Join(members[user], ",")+`]}`)
	}
	return batches, nil
}
