package mockrudder

import (
	"sync"

	"github.com/currentsbridge/currentsbridge/mockrudder/plan"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// judge validates messages. It is safe for concurrent use.
type judge struct {
	validator *schemas.Validator
	plan      *plan.Plan // nil for none
	buffers   sync.Pool  // of *[]byte, for texts during validation
}

// sharedValidator is compiled on first use, once for all servers of a process. It
// never changes.
var sharedValidator = sync.OnceValues(schemas.NewValidator)

// newJudge makes a judge. A nil plan is none, a nil glossary the built-in one.
func newJudge(p *plan.Plan, g *schemas.Glossary) (*judge, error) {
	compile := sharedValidator
	if g != nil {
		compile = g.Validator
	}
	validator, err := compile()
	if err != nil {
		return nil, err
	}
	return &judge{validator: validator, plan: p}, nil
}

// events validates messages. Of a webhook it validates the message that the
// transformation made, and the Braze event too.
func (j *judge) events(events []Event) {
	buffer, ok := j.buffers.Get().(*[]byte)
	if !ok {
		buffer = new([]byte)
	}
	for i := range events {
		e := &events[i]
		e.Judged, e.Valid = true, true
		m := e.message()
		*buffer = m.AppendText((*buffer)[:0])
		j.note(e, "message", j.validator.Message(*buffer))
		if j.plan != nil {
			j.note(e, "plan", j.plan.Judge(string(*buffer)))
		}
		if e.made != "" {
			*buffer = append((*buffer)[:0], e.Raw...)
			j.note(e, "event", j.validator.Event(*buffer))
		}
	}
	if cap(*buffer) <= 1<<20 {
		j.buffers.Put(buffer)
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
