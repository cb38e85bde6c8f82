package mapping_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/fixtures"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/schemas"
)

func mapped(event string) string {
	return string(mapping.Plain().AppendMessage(nil, []byte(event), "fallback"))
}

// The parts that every message has, between which the others stand.
const (
	context = `{"context":{"library":{"name":"unknown","version":"unknown"},"integration":{"name":"Braze"}`
	track   = `},"integrations":{"Braze":false},"type":"track"`
)

// TestRules maps small events and looks at what lies behind the fixed parts.
func TestRules(t *testing.T) {
	for _, tt := range casefile.Read(t, "testdata/rules.tsv", 4) {
		t.Run(tt[0], func(t *testing.T) {
			got := mapped(tt[3])
			require.Equal(t, context+tt[1]+track+tt[2]+"}", got)
			require.True(t, json.Valid([]byte(got)))
		})
	}
}

// TestCalls: identify and alias calls, and what stays a track call.
func TestCalls(t *testing.T) {
	v, err := schemas.NewValidator()
	require.NoError(t, err)
	for _, tt := range casefile.Read(t, "testdata/calls.tsv", 5) {
		opts := mapping.Options{}
		require.NoError(t, json.Unmarshal([]byte(tt[2]), &opts), tt[0])
		got := newMapper(t, opts).Append(nil, []byte(tt[4]), "fallback")
		require.Equal(t, context+withHashes(tt[3]), string(got), tt[0])
		require.Equal(t, tt[1] == "true", v.Message(got).Valid, tt[0])
	}
}

func TestFallbackID(t *testing.T) {
	mapper := mapping.Plain()
	for _, fallback := range []string{"a", "rec/7-3", "quote\" backslash\\ control\x00\x1f\n é😀"} {
		var message struct {
			MessageID string `json:"messageId"`
		}
		require.NoError(t, json.Unmarshal(mapper.AppendMessage(nil, []byte(`{}`), fallback), &message))
		require.Equal(t, fallback, message.MessageID)
	}
	require.Equal(t, context+track+`}`, string(mapper.AppendMessage(nil, []byte(`{"id":""}`), "")))
}

// TestDeepNesting: reading each level again would take hours here.
func TestDeepNesting(t *testing.T) {
	const depth = 1 << 19
	open, closed := strings.Repeat("[", depth), strings.Repeat("]", depth)
	event := `{"id":"i","time":` + open + `1700000000` + closed + `,"user":{"user_id":` + open + closed + `},"properties":{"platform":` + open + closed + `,"a":` + open + closed + `}}`
	want := context + `,"os":{"name":` + open + closed + `}` + track + `,"messageId":"i","anonymousId":` + open + closed +
		`,"timestamp":"2023-11-14T22:13:20.000Z","properties":{"a":` + open + closed + `}}`
	require.True(t, mapped(event) == want) // without a listing of megabytes
}

func TestTimestamp(t *testing.T) {
	for _, tt := range casefile.Read(t, "testdata/timestamps.tsv", 2) {
		message := context + track + `,"messageId":"fallback"`
		if tt[0] != "" {
			message += `,"timestamp":"` + tt[0] + `"`
		}
		require.Equal(t, message+"}", mapped(`{"time":`+tt[1]+`}`), "time %s", tt[1])
	}
	require.Equal(t, context+track+`,"messageId":"fallback"}`, mapped(`{"time":1,"time":null}`))
}

// counted returns what a watch has seen, as type|field=count.
func counted(w *drift.Watch) (list []string) {
	for _, i := range w.List() {
		list = append(list, fmt.Sprintf("%s|%s=%d", i.EventType, i.Field, i.Count))
	}
	return list
}

// bothModes maps events in each mode with a watch, and makes sure that what leaves is
// what leaves without one.
func bothModes(t *testing.T, personal mapping.Personal, events ...string) (seen []string) {
	for _, webhook := range []bool{false, true} {
		w := drift.New(drift.Config{})
		m := newMapper(t, mapping.Options{Webhook: webhook, Drift: w, Personal: personal})
		silent := newMapper(t, mapping.Options{Webhook: webhook, Personal: personal})
		for _, event := range events {
			require.Equal(t, string(silent.Append([]byte("["), []byte(event), "f")), string(m.Append([]byte("["), []byte(event), "f")))
		}
		if webhook {
			require.Equal(t, seen, counted(w))
		}
		seen = counted(w)
	}
	return seen
}

func TestDrift(t *testing.T) {
	plain, hashing := mapping.Personal{}, mapping.Personal{Preset: mapping.Hash, Salt: []byte(salt)}
	open := func(user, properties, rest string) string {
		return `{"event_type":"users.messages.email.Open","id":"i","time":1,"user":{"user_id":"u"` + user + `},"properties":{"email_address":"m"` + properties + `}` + rest + `}`
	}
	const typ = "users.messages.email.Open|"
	for _, tt := range casefile.Read(t, "testdata/drift.tsv", 3) {
		t.Run(tt[0], func(t *testing.T) {
			for _, seen := range [][]string{bothModes(t, plain, tt[2]), bothModes(t, hashing, tt[2]), bothModes(t, plain, tt[2], tt[2])} {
				require.Equal(t, tt[1], strings.Join(seen, " "), "the same event again, as when a batch is halved, changes nothing")
			}
		})
	}
	again := []string{typ + "properties.x=2"}
	require.Equal(t, again, bothModes(t, plain, open(``, `,"x":1`, ``), open(``, `,"x":2`, ``)))
	for _, personal := range []mapping.Personal{
		{Fields: actions{"x": mapping.Drop}}, {Preset: mapping.Drop}, {Preset: mapping.Hash, Salt: []byte(salt)}, {Preset: mapping.Drop, Unknown: mapping.Keep},
	} {
		event := open(``, `,"x":"text"`, ``)
		seen := bothModes(t, personal, event, event)
		require.Equal(t, []string{typ + "properties.x=1"}, seen, "once, whatever becomes of it: %v", personal)
	}
}

func TestFilterByType(t *testing.T) {
	patterns := func(column string) []string {
		return strings.FieldsFunc(column, func(r rune) bool { return r == '|' })
	}
	for _, tt := range casefile.Read(t, "testdata/types.tsv", 4) {
		m := newMapper(t, mapping.Options{Filter: mapping.Filter{Allow: patterns(tt[1]), Deny: patterns(tt[2])}})
		for range 2 { // the second time it is known
			for _, event := range []string{
				`{"event_type":%s}`, `{"event\u005ftype":%s,"user":{"user_id":"u"}}`, `{"event_type":"x","properties":{"event_type":"y"},"event_type":%s}`,
			} {
				require.Equal(t, tt[0] == "true", m.Keeps(fmt.Appendf(nil, event, tt[3])), tt)
			}
		}
		for _, unusual := range []string{``, `5`, `[]`, `"x"`} {
			require.True(t, m.Keeps([]byte(unusual)), "what is no event becomes a dead letter, not filtered: %s", unusual)
		}
	}
}

func TestFilterByProperties(t *testing.T) {
	for _, tt := range casefile.Read(t, "testdata/filters.tsv", 4) {
		holds, rules := tt[0] == "true", map[string][]string{tt[1]: strings.Split(tt[2], "|")}
		event := []byte(`{"event_type":"t","properties":{"n":5},"user":{"app_id":"a"},"properties":` + tt[3] + `}`)
		require.Equal(t, holds, newMapper(t, mapping.Options{Filter: mapping.Filter{AllowProperties: rules}}).Keeps(event), tt)
		require.Equal(t, !holds, newMapper(t, mapping.Options{Webhook: true, Filter: mapping.Filter{DenyProperties: rules}}).Keeps(event), tt)
	}
	two := map[string][]string{"a": {"1"}, "b": {"2"}}
	all := newMapper(t, mapping.Options{Filter: mapping.Filter{AllowProperties: two}})
	any := newMapper(t, mapping.Options{Filter: mapping.Filter{DenyProperties: two}})
	for properties, want := range map[string]struct{ all, none bool }{
		`{"a":1,"b":2}`: {true, false}, `{"a":1}`: {false, false}, `{"b":2}`: {false, false}, `{"a":2,"b":1}`: {false, true},
	} {
		event := []byte(`{"properties":` + properties + `}`)
		require.Equal(t, want.all, all.Keeps(event), properties)
		require.Equal(t, want.none, any.Keeps(event), properties)
	}
}

// TestFilterIsSharedSafely filters more types than are remembered, from many
// goroutines at once.
func TestFilterIsSharedSafely(t *testing.T) {
	m := newMapper(t, mapping.Options{Filter: mapping.Filter{Allow: []string{"yes.*"}}})
	long := strings.Repeat("x", 1000)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 2000 {
				yes, no := fmt.Sprintf(`{"event_type":"yes.%d"}`, i), fmt.Sprintf(`{"event_type":"no.%d"}`, i)
				if !m.Keeps([]byte(yes)) || m.Keeps([]byte(no)) || !m.Keeps([]byte(`{"event_type":"yes.`+long+`"}`)) || m.Keeps([]byte(`{"event_type":"`+long+`"}`)) {
					t.Error("wrong at", i)
					return
				}
			}
		})
	}
	wg.Wait()
}

var loadGlossary = sync.OnceValues(schemas.Load)

// glossary is the one that is built in, loaded once.
func glossary(t testing.TB) *schemas.Glossary {
	g, err := loadGlossary()
	require.NoError(t, err)
	return g
}

func newMapper(t testing.TB, opts mapping.Options) *mapping.Mapper {
	if opts.Glossary == nil {
		opts.Glossary = glossary(t)
	}
	m, err := mapping.New(opts)
	require.NoError(t, err)
	return m
}

// eventName returns what a message has under event, as it is written.
func eventName(t *testing.T, m *mapping.Mapper, eventType string) string {
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

// optionsOf returns the options that an error of New names.
func optionsOf(t *testing.T, err error) (names []string) {
	if err == nil {
		return nil
	}
	var joined interface{ Unwrap() []error }
	require.ErrorAs(t, err, &joined)
	for _, e := range joined.Unwrap() {
		var option *mapping.OptionError
		require.True(t, errors.As(e, &option), "%v", e)
		require.NotEmpty(t, option.Text)
		require.Equal(t, option.Option+": "+option.Text, option.Error())
		names = append(names, option.Option)
	}
	return names
}

func TestOptionMistakes(t *testing.T) {
	for _, tt := range casefile.Read(t, "testdata/options.tsv", 3) {
		opts := mapping.Options{Glossary: glossary(t)}
		require.NoError(t, json.Unmarshal([]byte(tt[2]), &opts), tt[0])
		m, err := mapping.New(opts)
		require.Equal(t, tt[1], strings.Join(optionsOf(t, err), " "), tt[0])
		require.Equal(t, err == nil, m != nil, tt[0])
	}
	_, err := mapping.New(mapping.Options{Names: mapping.Names{Map: map[string]string{"a": "\xff"}}})
	require.Equal(t, []string{"names.map.a"}, optionsOf(t, err))
}

// edited makes of what RudderStack's source made of an event what the mapping must make
// of it: nothing moves inside of properties, ids and event types stay, and times are read
// as people mean them.
func edited(t *testing.T, difference []string, event, want []byte) []byte {
	e, m := decode(t, event), decode(t, want)
	switch difference[0] {
	case "properties":
		maps.DeleteFunc(m, func(key string, _ json.RawMessage) bool { return strings.HasPrefix(key, "properties.") })
		m["properties"] = e["properties"]
	case "timestamp":
		delete(m, "timestamp")
		if difference[1] != "" {
			m["timestamp"] = json.RawMessage(`"` + difference[1] + `"`)
		}
	case "event type":
		m["event"] = e["event_type"]
	case "id as text":
		m["messageId"] = json.RawMessage(`"` + string(e["id"]) + `"`)
	case "nested user":
		m["anonymousId"] = decode(t, e["user"])["user_id"]
	default:
		t.Fatal("unknown difference", difference)
	}
	raw, err := json.Marshal(m)
	require.NoError(t, err)
	return raw
}

// TestRecordedCases holds the mapping against what RudderStack's own Braze
// source made of the same bodies, and where it must differ says how.
func TestRecordedCases(t *testing.T) {
	edits := map[string][]string{}
	for _, row := range casefile.Read(t, "testdata/differences.tsv", 3) {
		edits[row[2]] = row
	}
	mapper := mapping.Plain()
	cases, err := fixtures.BrazeSourceCases()
	require.NoError(t, err)
	compared := 0
	for _, c := range cases {
		var batch currents.Batch
		if batch.Scan([]byte(c.Body)) != nil || len(c.Want.Messages) == 0 || len(batch.Events) != len(c.Want.Messages) {
			continue // refused as a whole, or an event that the bridge dead-letters
		}
		compared++
		t.Run(c.Name, func(t *testing.T) {
			for i, e := range batch.Events {
				event := []byte(c.Body)[e.Start:e.End]
				want := c.Want.Messages[i]
				if edit := edits[c.Name]; edit != nil {
					want = edited(t, edit, event, want)
				}
				got := mapper.AppendMessage(nil, event, "")
				require.Equal(t, exact(t, want), exact(t, got))
			}
		})
		delete(edits, c.Name)
	}
	require.Empty(t, edits, "cases that were not recorded")
	require.GreaterOrEqual(t, compared, 92)
}
