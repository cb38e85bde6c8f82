// Package audit reports what RudderStack's own Braze source would do to recorded
// requests of Braze: which requests it refuses, which events it drops silently, and
// which properties it moves, loses or rounds. It sends the requests to the fake
// gateway, which behaves as the real one was observed to, and compares the stored
// messages with the events.
//
// What it does not do: it does not consider a source's custom mapping, rate limits, or
// later changes by RudderStack's destinations.
package audit

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/currentsbridge/currentsbridge/mockrudder/brazesource"
	"github.com/currentsbridge/currentsbridge/mockrudder/check"
	"github.com/currentsbridge/currentsbridge/mockrudder/internal/gateway"
)

// Auditor reads recordings and makes a Report of them. Make one with New. It is not safe
// for concurrent use.
type Auditor struct {
	AsType string // the event type of records of storage exports that do not say theirs

	exports check.Exports
	mapper  *brazesource.Mapper
	report  Report
	index   map[findingKey]int

	file    string
	request request
}

// request is the part of one request that has been read.
type request struct {
	number    int // that of check.Item; 0: an event outside of a request
	events    []event
	explained bool // a finding about one of its events explains the refusal
}

// event is one event of a request.
type event struct {
	raw     string
	line    int
	storage bool // a record of Currents' storage export
}

// New returns an Auditor that has read nothing.
func New() *Auditor {
	return &Auditor{mapper: brazesource.New(), index: map[findingKey]int{}}
}

// Stream reads recorded requests from r, which the report calls name: request bodies
// {"events":[…]} one after the other, pretty-printed or a line each, or events, each of
// which counts as a request of its own; all of these may be compressed by gzip. Records
// of storage exports, as Avro or JSON, count as such events. It holds one request in
// memory at a time. The error says why r could not be read to its end; the requests
// before are in the report.
func (a *Auditor) Stream(name string, r io.Reader) error {
	a.file = name
	a.exports.AsType = a.AsType
	err := a.exports.Each(name, r, func(item check.Item) error {
		if item.Broken != nil {
			a.finish()
			a.broken(item)
			return nil //nolint:nilerr // it is in the report
		}
		if item.Request == 0 || item.Request != a.request.number {
			a.finish()
			a.request.number = item.Request
		}
		a.request.events = append(a.request.events, event{string(item.Raw), item.Line, item.Storage()})
		return nil
	})
	a.finish()
	return err
}

// Unread adds an error to the report about what could not be read, such as one of
// Stream.
func (a *Auditor) Unread(err error) { a.report.Unread = append(a.report.Unread, err.Error()) }

// Report returns the report on everything read so far.
func (a *Auditor) Report() Report {
	a.report.Exported, a.report.Lines = a.exports.Records, a.exports.Lines
	return a.report.sorted()
}

// broken counts a malformed request.
func (a *Auditor) broken(item check.Item) {
	a.report.Requests.Total++
	a.report.Requests.Refused++
	a.report.Events.Total++
	a.report.Events.Refused++
	a.note("", Finding{What: Refused, Detail: "its request gets 400 Malformed JSON in request body: " + item.Broken.Error()}, event{line: item.Line})
}

// finish audits the request that was read.
func (a *Auditor) finish() {
	if len(a.request.events) == 0 {
		return
	}
	a.report.Requests.Total++
	a.report.Events.Total += len(a.request.events)
	raws := make([]string, len(a.request.events))
	for i, e := range a.request.events {
		raws[i] = e.raw
	}
	whole, stored := a.ask(raws...)
	// An event outside of a request was sent with others in a request once.
	refused := whole != taken && (a.request.number > 0 || whole != allFailed)
	if refused {
		a.report.Requests.Refused++
	}
	for _, e := range a.request.events {
		if len(stored) > 0 && stored[0].Raw == e.raw {
			a.compare(parseEvent(e.raw), e, &stored[0])
			stored = stored[1:]
			continue
		}
		a.each(e, refused, whole)
	}
	if refused && !a.request.explained {
		a.note("", Finding{What: Refused, Detail: "the request gets " + whole.String()}, a.request.events[0])
	}
	a.request = request{}
}

// answer is a response of the gateway; the zero value is a closed connection.
type answer gateway.Refusal

func (a answer) String() string {
	if a.Status == 0 {
		return "no answer: the connection is closed"
	}
	return fmt.Sprintf("%d %s", a.Status, a.Text)
}

var (
	taken = answer{http.StatusOK, "ok"}
	// allFailed is the answer where no event of a request is left.
	allFailed = answer{http.StatusBadRequest, "All requests in the batch failed"}
)

// ask returns the response of the gateway to a request of events, and the stored
// messages.
func (a *Auditor) ask(events ...string) (answer, []gateway.Message) {
	body := `{"events":[` + strings.Join(events, ",") + `]}`
	if len(body) > gateway.MaxRequestBytes {
		return answer(*gateway.TooLarge), nil
	}
	switch out := gateway.Webhook(a.mapper, body); {
	case out.Closed:
		return answer{}, nil
	case out.Refusal != nil:
		return answer(*out.Refusal), nil
	default:
		return taken, out.Messages
	}
}

// each audits one event of the request that was not stored, as a request of its own.
func (a *Auditor) each(e event, refused bool, whole answer) {
	alone, stored := a.ask(e.raw)
	parsed := parseEvent(e.raw)
	switch {
	case alone == allFailed && (!refused || whole != allFailed):
		a.report.Events.Dropped++
		f := Finding{What: Dropped, Property: parsed.missing(), Detail: "the event is gone without a word"}
		if e.storage {
			f.Detail = "this is a record of Currents' storage export, not an event as Braze posts it"
		}
		a.note(parsed.eventType, f, e)
	case alone != taken:
		a.request.explained = true
		a.report.Events.Refused++
		f := Finding{What: Refused, Detail: "its whole request gets " + alone.String()}
		if alone == allFailed {
			f.Property, f.Detail = parsed.missing(), "nothing of its request is left: "+alone.String()
		}
		a.note(parsed.eventType, f, e)
	case refused:
		a.report.Events.RefusedBeside++
	case len(stored) == 1:
		a.compare(parsed, e, &stored[0])
	}
}

// compare reports the differences between an event and its stored message.
func (a *Auditor) compare(sent parsedEvent, e event, stored *gateway.Message) {
	found := differences(sent, stored)
	if len(found) == 0 {
		a.report.Events.Unchanged++
		return
	}
	a.report.Events.Changed++
	for _, f := range found {
		a.note(sent.eventType, f, e)
	}
}
