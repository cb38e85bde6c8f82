// Package plan validates messages by a tracking plan of the user: one JSON Schema for
// each event name. As in RudderStack's tracking plans, the schema is for the properties
// of track calls.
package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// RuleUnplanned is the rule of drift: an event that the plan does not have.
const RuleUnplanned = "unplanned"

// suffix is that of the files of a plan that is a directory.
const suffix = ".schema.json"

// Plan is a tracking plan. It may be used from many goroutines at once.
type Plan struct {
	events map[string]*schema
}

// New makes a plan of JSON Schemas by event name: of draft 4, 6, 7, 2019-09 or 2020-12,
// as $schema says, and without it of the oldest from draft 7 on that has the schema's
// keywords. Formats are checked. A schema cannot refer to another document. The error
// names every schema that is invalid, or has a keyword that its draft does not know.
func New(events map[string]json.RawMessage) (*Plan, error) {
	if len(events) == 0 {
		return nil, errors.New(`a tracking plan needs events: {"event name":{JSON Schema of its properties},…}`)
	}
	p := &Plan{events: map[string]*schema{}}
	var broken []error
	for _, name := range slices.Sorted(maps.Keys(events)) {
		compiled, err := compile(string(events[name]))
		if err != nil {
			broken = append(broken, fmt.Errorf("event %q: %w", name, err))
		}
		p.events[name] = compiled
	}
	return p, errors.Join(broken...)
}

// Read reads a plan from a JSON file {"event name":{schema},…}, or from a
// directory with a file NAME.schema.json for each event.
func Read(path string) (*Plan, error) {
	events, err := read(path)
	var p *Plan
	if err == nil {
		p, err = New(events)
	}
	if err != nil {
		return nil, fmt.Errorf("tracking plan %s: %w", path, err)
	}
	return p, nil
}

func read(path string) (events map[string]json.RawMessage, err error) {
	events = map[string]json.RawMessage{}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		text, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(text, &events)
		}
		return events, err
	}
	dir := os.DirFS(path)
	files, err := fs.Glob(dir, "?*"+suffix)
	for _, file := range files {
		text, err := fs.ReadFile(dir, file)
		if err != nil {
			return nil, err
		}
		events[strings.TrimSuffix(file, suffix)] = text
	}
	if len(files) == 0 {
		err = fmt.Errorf("no file is called NAME%s", suffix)
	}
	return events, err
}

// Judge validates a RudderStack message by the plan. Messages other than track calls
// are valid. Missing properties count as an empty object, so that required ones are
// reported. The paths of findings are those of the message. An event that the plan does
// not have is drift.
func (p *Plan) Judge(message string) schemas.Verdict {
	kind, event, properties := parts(message)
	if kind != "track" {
		return schemas.Verdict{Valid: true}
	}
	compiled := p.events[event]
	if compiled == nil {
		return schemas.Verdict{Valid: true, Drift: []schemas.Finding{
			{Path: "/event", Rule: RuleUnplanned, Detail: fmt.Sprintf("the tracking plan has no event %q", event)},
		}}
	}
	found := compiled.judge(properties, "/properties")
	return schemas.Verdict{Valid: len(found) == 0, Errors: found}
}

// parts finds the parts of a message that the plan needs. Of duplicate keys the first
// one counts, as in RudderStack.
func parts(message string) (kind, event, properties string) {
	fields := map[string]*string{"type": &kind, "event": &event, "properties": &properties}
	w := jsonlex.Walker{Text: message}
	if start := jsonlex.Space(message, 0); start < len(message) && message[start] == '{' {
		w.Fields(start, 0, true, func(key string) *string { return fields[key] })
	}
	if properties == "" || properties == "null" {
		properties = "{}"
	}
	return text(kind), text(event), properties
}

// text is the content of a JSON string, and JSON itself for other values.
func text(value string) string {
	if strings.HasPrefix(value, `"`) {
		return jsonlex.Text(value)
	}
	return value
}
