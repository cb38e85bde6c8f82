package audit

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/currentsbridge/currentsbridge/mockrudder"
	"github.com/currentsbridge/currentsbridge/mockrudder/check"
)

const key = "audit" // of the one source that is asked

// Auditor reads recordings and adds up what would become of them. Make one with
// New. It is not safe for concurrent use.
type Auditor struct {
	server *mockrudder.Server
	stored []mockrudder.Event // by the request that is being asked about
	report Report
	index  map[findingKey]int

	file    string
	request request
}

// request is what was read of one request body so far.
type request struct {
	number int // as check.Item gives it; 0: an event that stood alone
	body   []byte
	events []event
	large  bool // more than RudderStack takes; body is given up
}

// event is one event of a request.
type event struct {
	raw  string
	line int
}

// New returns an Auditor that has read nothing.
func New() (*Auditor, error) {
	a := &Auditor{index: map[findingKey]int{}}
	var err error
	a.server, err = mockrudder.New(
		mockrudder.WithSource(key, mockrudder.Braze),
		mockrudder.WithoutValidation(),
		mockrudder.WithKeep(1),
		mockrudder.WithObserver(func(e mockrudder.Event) { a.stored = append(a.stored, e) }),
	)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return a, nil
}

// Stream reads recorded requests from r, which the report calls name: request
// bodies {"events":[…]} one after the other, pretty-printed or a line each, or
// bare events, of which each counts as a request of its own; gzip is undone. It
// holds one request in memory at a time. The error says why r could not be read
// to its end; what came before is in the report.
func (a *Auditor) Stream(name string, r io.Reader) error {
	a.file = name
	err := check.Each(r, func(item check.Item) error {
		if item.Request == 0 || item.Request != a.request.number {
			a.finish()
			a.request.number = item.Request
		}
		a.request.add(event{string(item.Raw), item.Line})
		return nil
	})
	a.finish()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Report returns what was found so far.
func (a *Auditor) Report() Report { return a.report.sorted() }

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
	if len(r.body) > mockrudder.MaxRequestBytes {
		r.large, r.body = true, nil
	}
}

// finish asks what would become of the request that was read, and forgets it.
func (a *Auditor) finish() {
	if len(a.request.events) == 0 {
		return
	}
	a.report.Requests.Total++
	a.report.Events.Total += len(a.request.events)
	answer := tooLarge
	if !a.request.large {
		answer = a.ask(append(a.request.body, "]}"...))
	}
	// An event that stands alone in a recording stood among others once.
	refused := answer.status != http.StatusOK && (a.request.number > 0 || answer != allFailed)
	if refused {
		a.report.Requests.Refused++
	}
	a.each(refused, answer)
	a.request = request{body: a.request.body[:0]}
}

// answer is what the gateway says.
type answer struct {
	status int
	text   string
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.text) }

var (
	// allFailed is the answer where no event of a request is left.
	allFailed = answer{http.StatusBadRequest, "All requests in the batch failed"}
	tooLarge  = answer{http.StatusRequestEntityTooLarge, "request size exceeds max limit"}
)

// ask posts a body to the fake gateway; what that stores is in a.stored then.
func (a *Auditor) ask(body []byte) answer {
	a.stored = a.stored[:0]
	r := httptest.NewRequest(http.MethodPost, "/v1/webhook?writeKey="+key, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	a.server.ServeHTTP(w, r)
	return answer{w.Code, strings.TrimSuffix(w.Body.String(), "\n")}
}

// each looks at every event of the request by itself: alone it shows what the
// source makes of it, whatever stands beside it.
func (a *Auditor) each(refused bool, whole answer) {
	guilty := false
	for _, e := range a.request.events {
		alone := a.ask([]byte(`{"events":[` + e.raw + `]}`))
		parsed := parseEvent(e.raw)
		switch {
		case alone == allFailed && !(refused && whole == allFailed):
			a.report.Events.Dropped++
			a.note(parsed.eventType, Finding{What: Dropped, Property: parsed.missing(), Detail: "the event is gone without a word"}, e, "", "")
		case alone.status != http.StatusOK:
			guilty = true
			a.report.Events.Refused++
			f := Finding{What: Refused, Detail: "its whole request gets " + alone.String()}
			if alone == allFailed {
				f.Property, f.Detail = parsed.missing(), "nothing of its request is left: "+alone.String()
			}
			a.note(parsed.eventType, f, e, "", "")
		case refused:
			a.report.Events.RefusedBeside++
		case len(a.stored) == 1:
			a.compare(parsed, e)
		}
	}
	if refused && !guilty {
		a.note("", Finding{What: Refused, Detail: "the request gets " + whole.String()}, a.request.events[0], "", "")
	}
}

// compare notes what of an event that would be stored is not as it was sent.
func (a *Auditor) compare(sent parsedEvent, e event) {
	found := differences(sent, a.stored[0].Message())
	if len(found) == 0 {
		a.report.Events.Unchanged++
		return
	}
	a.report.Events.Changed++
	for _, d := range found {
		a.note(sent.eventType, Finding{What: d.what, Property: d.property, Detail: d.detail}, e, d.before, d.after)
	}
}
