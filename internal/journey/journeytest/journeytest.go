// Package journeytest reads events back in tests.
package journeytest

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/scenario"
	"github.com/currentsbridge/currentsbridge/schemas"
)

var builtin = sync.OnceValues(schemas.Load)

// Glossary is the one that is built in. It is shared: do not change it.
func Glossary(tb testing.TB) *schemas.Glossary {
	g, err := builtin()
	require.NoError(tb, err)
	return g
}

// Scenario reads a scenario.
func Scenario(tb testing.TB, text string) *scenario.Scenario {
	s, err := scenario.Parse("test.yaml", []byte(text))
	require.NoError(tb, err)
	return s
}

// Event is what tests look at of an event.
type Event struct {
	Type       string         `json:"event_type"`
	ID         string         `json:"id"`
	Time       int64          `json:"time"`
	User       map[string]any `json:"user"`
	Properties map[string]any `json:"properties"`
	// Raw is the text that was read, good as long as the caller keeps it.
	Raw []byte `json:"-"`
}

// Text is a string field of the user or the properties, empty for none.
func (e Event) Text(name string) string {
	v, ok := e.User[name].(string)
	if !ok {
		v, _ = e.Properties[name].(string)
	}
	return v
}

// Decode reads an event. It is called for hundreds of thousands of them: package
// require, which asks for its caller, would take as long as the reading.
func Decode(tb testing.TB, raw []byte) Event {
	tb.Helper()
	e := Event{Raw: raw}
	if err := json.Unmarshal(raw, &e); err != nil {
		tb.Fatalf("%v: %s", err, raw)
	}
	return e
}
