package mapping_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/schemas"
)

var loadGlossary = sync.OnceValues(schemas.Load)

// glossary is the one that is built in, loaded once.
func glossary(t testing.TB) *schemas.Glossary {
	t.Helper()
	g, err := loadGlossary()
	require.NoError(t, err)
	return g
}

func newMapper(t testing.TB, opts mapping.Options) *mapping.Mapper {
	t.Helper()
	if opts.Glossary == nil {
		opts.Glossary = glossary(t)
	}
	m, err := mapping.New(opts)
	require.NoError(t, err)
	return m
}

// eventName returns what a message has under event, as it is written.
func eventName(t *testing.T, m *mapping.Mapper, eventType string) string {
	t.Helper()
	event := `{"event_type":` + eventType + `,"id":"i"}`
	message := m.Append(nil, []byte(event), "")
	require.True(t, json.Valid(message), "%s", message)
	got := string(decode(t, message)["event"])
	plain := mapping.Plain().AppendMessage(nil, []byte(event), "")
	require.Equal(t, strings.Replace(string(plain), `"event":`+eventType, `"event":`+got, 1), string(message), "only the name differs")
	return got
}

func TestNames(t *testing.T) {
	m := newMapper(t, mapping.Options{Names: mapping.Names{Readable: true, Map: map[string]string{
		"users.messages.email.*":     "Email *",
		"users.messages.email.Open":  "Mail \"read\" \\ é*",
		"users.messages.*":           "Message",
		"users.messages.pigeon.":     "exact",
		"users.canvas.Entry":         "constructor",
		"new.*":                      "*",
		"no.such.Type":               "Nothing",
		"users.messages.sms.Send*":   "SMS*",
		"users.behaviors.Uninstall*": "Gone",
	}}})
	for _, tt := range casefile.Read(t, "testdata/names.tsv", 2) {
		require.Equal(t, tt[0], eventName(t, m, tt[1]), tt[1])
	}
	plain := newMapper(t, mapping.Options{Names: mapping.Names{Map: map[string]string{"a": "b"}}})
	require.Equal(t, `"users.canvas.Conversion"`, eventName(t, plain, `"users.canvas.Conversion"`), "not asked for readable names")
	require.NotContains(t, string(m.Append(nil, []byte(`{"event_type":null}`), "i")), `"event"`)
	require.NotContains(t, string(m.Append(nil, []byte(`{}`), "i")), `"event"`)
}
