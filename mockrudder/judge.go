package mockrudder

import (
	"sync"

	"github.com/currentsbridge/currentsbridge/schemas"
)

// judge holds messages against the schemas. It is safe for concurrent use.
type judge struct {
	validator *schemas.Validator
}

// sharedValidator compiles the schemas once for all servers of a process.
var sharedValidator = sync.OnceValues(schemas.NewValidator)

func newJudge() (*judge, error) {
	validator, err := sharedValidator()
	if err != nil {
		return nil, err
	}
	return &judge{validator}, nil
}

// event judges what was received. A message that came in by a webhook is
// judged as the transformation made it, and its Braze event too.
func (j *judge) event(e *Event) {
	e.Judged, e.Valid = true, true
	j.note(e, "message", j.validator.Message([]byte(e.message())))
	if e.finished != "" {
		j.note(e, "event", j.validator.Event([]byte(e.Raw)))
	}
}

func (j *judge) note(e *Event, in string, verdict schemas.Verdict) {
	e.Valid = e.Valid && verdict.Valid
	e.Errors = appendFindings(e.Errors, in, verdict.Errors)
	e.Drift = appendFindings(e.Drift, in, verdict.Drift)
}

func appendFindings(to []Finding, in string, found []schemas.Finding) []Finding {
	for _, f := range found {
		to = append(to, Finding{Path: f.Path, Rule: f.Rule, Detail: f.Detail, In: in})
	}
	return to
}

// message is the text of the finished message before the gateway's own changes.
func (e *Event) message() string {
	if e.setType == "" {
		return e.text()
	}
	message := decodeObject(e.Raw)
	message["type"] = e.setType
	return string(encode(message))
}
