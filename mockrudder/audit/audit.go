package audit

import (
	"fmt"
	"io"
	"net/http"

	"github.com/currentsbridge/currentsbridge/mockrudder/brazesource"
	"github.com/currentsbridge/currentsbridge/mockrudder/check"
	"github.com/currentsbridge/currentsbridge/mockrudder/internal/gateway"
)

// Auditor reads recordings and adds up what would become of them. Make one with
// New. It is not safe for concurrent use.
type Auditor struct {
	// AsType is the event type of records of storage exports that do not say theirs.
	AsType string

	exports check.Exports
	mapper  *brazesource.Mapper
	report  Report
	index   map[findingKey]int

	file    string
	request request
}

// request is what was read of one request body so far.
type request struct {
	number int // as check.Item gives it; 0: an event that stood alone
	body   []byte
	events []event
	large  bool // more than RudderStack takes; body is dropped
	guilty bool // one of its events is refused by itself
}

// event is one event of a request.
type event struct {
	raw     string
	line    int
	storage bool // a record of Currents' storage export
}

// New returns an Auditor that has read nothing.
func New() *Auditor {
	return &Auditor{mapper: brazesource.New(), index: map[findingKey]int{}, report: Report{types: map[string]*typeCount{}}}
}

// Stream reads recorded requests from r, which the report calls name: request
// bodies {"events":[…]} one after the other, pretty-printed or a line each, or
// bare events, of which each counts as a request of its own; gzip is undone.
// Records of storage exports, as Avro or JSON, count as such events. It
// holds one request in memory at a time. The error says why r could not be read
// to its end; what came before is in the report.
func (a *Auditor) Stream(name string, r io.Reader) error {
	a.file = name
	a.exports.AsType = a.AsType
	lines, err := a.exports.Each(name, r, func(item check.Item) error {
		if item.Broken != nil {
			a.finish()
			a.broken(item)
			return nil //nolint:nilerr // it is in the report
		}
		if item.Request == 0 || item.Request != a.request.number {
			a.finish()
			a.request.number = item.Request
		}
		a.request.add(event{string(item.Raw), item.Line, item.Storage()})
		return nil
	})
	a.finish()
	a.report.Lines.Total += lines.Total
	a.report.Lines.Read += lines.Read
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Unread has the report say what could not be read, such as an error of Stream.
func (a *Auditor) Unread(err error) { a.report.Unread = append(a.report.Unread, err.Error()) }

// Report returns what was found so far.
func (a *Auditor) Report() Report {
	a.report.Exported, a.report.taken = a.exports.Records, a.exports.Taken()
	return a.report.sorted()
}

func (r *request) add(e event) {
	r.events = append(r.events, e)
	switch {
	case r.large:
		return
	case len(r.body) == 0:
		r.body = append(r.body, `{"events":[`...)
	default:
		r.body = append(r.body, ',')
	}
	r.body = append(r.body, e.raw...)
	if len(r.body) > gateway.MaxRequestBytes {
		r.large, r.body = true, nil
	}
}

// broken notes a request that is no JSON.
func (a *Auditor) broken(item check.Item) {
	a.report.Requests.Total++
	a.report.Requests.Refused++
	a.report.Events.Total++
	a.report.Events.Refused++
	a.count("")
	a.note("", Finding{What: Refused, Detail: "its request gets 400 Malformed JSON in request body: " + item.Broken.Error()}, event{line: item.Line}, "", "")
}

// finish asks what would become of the request that was read, and forgets it.
func (a *Auditor) finish() {
	if len(a.request.events) == 0 {
		return
	}
	a.report.Requests.Total++
	a.report.Events.Total += len(a.request.events)
	whole := answer(*gateway.TooLarge)
	if !a.request.large {
		whole, _ = a.ask(string(append(a.request.body, "]}"...)))
	}
	// An event that stands alone in a recording stood among others once.
	refused := whole != taken && (a.request.number > 0 || whole != allFailed)
	if refused {
		a.report.Requests.Refused++
	}
	for _, e := range a.request.events {
		a.each(e, refused, whole)
	}
	if refused && !a.request.guilty {
		a.note("", Finding{What: Refused, Detail: "the request gets " + whole.String()}, a.request.events[0], "", "")
	}
	a.request = request{body: a.request.body[:0]}
}

// answer is what the gateway answers; its zero value is a closed connection.
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

// ask returns what the gateway says of a body, and what it would store.
func (a *Auditor) ask(body string) (answer, []gateway.Message) {
	switch out := gateway.Webhook(a.mapper, body); {
	case out.Closed:
		return answer{}, nil
	case out.Refusal != nil:
		return answer(*out.Refusal), nil
	default:
		return taken, out.Messages
	}
}

// each looks at an event of the request by itself: alone it shows what the
// source makes of it, whatever stands beside it.
func (a *Auditor) each(e event, refused bool, whole answer) {
	alone, stored := a.ask(`{"events":[` + e.raw + `]}`)
	parsed := parseEvent(e.raw)
	count := a.count(parsed.eventType)
	switch {
	case alone == allFailed && (!refused || whole != allFailed):
		a.report.Events.Dropped++
		f := Finding{What: Dropped, Property: parsed.missing(), Detail: "the event is gone without a word"}
		if e.storage {
			f.Detail = "this is a record of Currents' storage export, not an event as Braze posts it"
		}
		a.note(parsed.eventType, f, e, "", "")
	case alone != taken:
		a.request.guilty = true
		a.report.Events.Refused++
		f := Finding{What: Refused, Detail: "its whole request gets " + alone.String()}
		if alone == allFailed {
			f.Property, f.Detail = parsed.missing(), "nothing of its request is left: "+alone.String()
		}
		a.note(parsed.eventType, f, e, "", "")
	case refused:
		a.report.Events.RefusedBeside++
	case len(stored) == 1:
		a.compare(parsed, e, &stored[0], count)
	}
}

// count counts an event of a type, of more types than are told apart together.
func (a *Auditor) count(eventType string) *typeCount {
	const other, most = "(other types)", 1000
	n := a.report.types[eventType]
	switch {
	case n == nil && len(a.report.types) >= most && eventType != other:
		return a.count(other)
	case n == nil:
		n = &typeCount{}
		a.report.types[eventType] = n
	}
	n.events++
	return n
}

// compare notes what of an event that would be stored is not as it was sent.
func (a *Auditor) compare(sent parsedEvent, e event, stored *gateway.Message, count *typeCount) {
	found := differences(sent, stored)
	if len(found) == 0 {
		a.report.Events.Unchanged++
		count.unchanged++
		return
	}
	a.report.Events.Changed++
	for _, d := range found {
		a.note(sent.eventType, Finding{What: d.what, Property: d.property, Detail: d.detail}, e, d.before, d.after)
	}
}
