package mapping_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/bridge/sourceloss"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/schemas"
)

const salt = "pepper"

// hashed is the hash of a text as JSON.
func hashed(text string) string {
	sum := sha256.Sum256([]byte(salt + text))
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// withHashes puts hashes in the place of ⟦texts⟧.
func withHashes(text string) string {
	return regexp.MustCompile(`⟦(?s:.*?)⟧`).ReplaceAllStringFunc(text, func(text string) string {
		return hashed(text[len("⟦") : len(text)-len("⟧")])
	})
}

type actions = map[string]mapping.Action

// rewritten is what leaves in webhook mode.
func rewritten(t *testing.T, preset mapping.Action, fields actions, event string) string {
	m := newMapper(t, mapping.Options{Webhook: true, Personal: mapping.Personal{Preset: preset, Fields: fields, Salt: []byte(salt)}})
	got := string(m.Append([]byte("before,"), []byte(event), ""))
	require.True(t, strings.HasPrefix(got, "before,"))
	return strings.TrimPrefix(got, "before,")
}

// TestPersonalRewrites holds what leaves in webhook mode byte for byte, and what
// leaves in events mode to the message of those bytes.
func TestPersonalRewrites(t *testing.T) {
	for _, tt := range casefile.Read(t, "testdata/personal.tsv", 5) {
		t.Run(tt[0], func(t *testing.T) {
			preset, fields := mapping.Action(tt[1]), actions{}
			for rule := range strings.FieldsSeq(tt[2]) {
				field, action, _ := strings.Cut(rule, "=")
				fields[field] = mapping.Action(action)
			}
			want := withHashes(tt[3])
			require.Equal(t, want, rewritten(t, preset, fields, tt[4]))
			m := newMapper(t, mapping.Options{Personal: mapping.Personal{Preset: preset, Fields: fields, Salt: []byte(salt)}})
			require.Equal(t, "["+mapped(want), string(m.Append([]byte("["), []byte(tt[4]), "fallback")))
		})
	}
	require.Equal(t, `{"a":`+hashed("\xed\xa0\x80")+`}`, rewritten(t, "", actions{"a": mapping.Hash}, `{"a":"\ud800"}`), "half a pair")
}

// TestPresetOverTheGlossary: of every event type, every field that Braze or this
// project flags goes in both modes, and no other.
func TestPresetOverTheGlossary(t *testing.T) {
	g := glossary(t)
	personal := mapping.Personal{Preset: mapping.Hash, Salt: []byte(salt)}
	modes := []*mapping.Mapper{newMapper(t, mapping.Options{Personal: personal}), newMapper(t, mapping.Options{Webhook: true, Personal: personal})}
	flagged := 0
	for i := range g.Events {
		e := &g.Events[i]
		var members []string
		for _, f := range e.Properties {
			members = append(members, fmt.Sprintf("%q:%q", f.Name, "value of "+f.Name+"."))
		}
		event := fmt.Sprintf(`{"event_type":%q,"id":"i","user":{"user_id":"u","external_user_id":"e","timezone":"z"},"properties":{%s}}`, e.Name, strings.Join(members, ","))
		for _, m := range modes {
			got := string(m.Append(nil, []byte(event), ""))
			for _, f := range e.Properties {
				text := "value of " + f.Name + "."
				require.Equal(t, f.IsPersonal(), strings.Contains(got, hashed(text)), "%s %s", e.Name, f.Name)
				require.Equal(t, !f.IsPersonal(), strings.Contains(got, text), "%s %s", e.Name, f.Name)
				if f.IsPersonal() {
					flagged++
				}
			}
			for _, id := range []string{`"i"`, `"u"`, `"e"`, `"z"`} {
				require.Contains(t, got, id)
			}
		}
	}
	require.Greater(t, flagged, 100)
}

// TestPresetCoversWhatPeopleWrite names the fields that Braze does not flag,
// though people fill them with words or they name a person.
func TestPresetCoversWhatPeopleWrite(t *testing.T) {
	g := glossary(t)
	seen := map[string]bool{}
	for i := range g.Events {
		for _, f := range g.Events[i].Properties {
			seen[f.Name] = seen[f.Name] || f.IsPersonal()
		}
	}
	for _, name := range []string{
		"message_body", "quick_reply_text", "answer_long_string", "answer_multiple_strings", "answer_single_boolean", "answer_single_number", "answer_single_string",
		"bsuid", "push_token", "push_to_start_token", "update_token", "web_push_token_public_key", "web_push_token_user_auth", "web_push_token_vapid_public_key",
		"media_urls", "raw_response", "flow_response_json", "custom_attributes", "tool_arguments", "message_extras",
	} {
		require.True(t, seen[name], name)
	}
}

// TestUnknownTextUnderAPreset: text in what the glossary does not know is taken
// for personal, for every event type and for types that it does not have.
func TestUnknownTextUnderAPreset(t *testing.T) {
	g := glossary(t)
	const members = `"new_text":"secret","new_list":["secret"],"new_object":{"a":{"b":"secret"}},"new_number":4711,"new_flag":true,"new_null":null`
	const event = `{"event_type":%q,"id":"i","new_top":"secret","properties.new_dotted":"secret","user.new_dotted":"secret","user":{"user_id":"u","external_user_id":"e","device_id":"d","timezone":"z",` + members + `},"properties":{` + members + `}}`
	types := append(g.Current(), "users.messages.pigeon.Send", "", "users.messages.newsfeedcard.Click")
	for _, action := range []mapping.Action{mapping.Drop, mapping.Hash} {
		for _, webhook := range []bool{true, false} {
			for _, unknown := range []mapping.Action{"", mapping.AsPreset, mapping.Keep} {
				m := newMapper(t, mapping.Options{Glossary: g, Webhook: webhook, Personal: mapping.Personal{Preset: action, Unknown: unknown, Salt: []byte(salt)}})
				for _, typ := range types {
					got := string(m.Append(nil, fmt.Appendf(nil, event, typ), ""))
					require.Equal(t, unknown == mapping.Keep, strings.Contains(got, "secret"), "%s %s %s", typ, action, got)
					require.Equal(t, unknown != mapping.Keep && action == mapping.Hash, strings.Contains(got, hashed("secret")))
					for _, kept := range []string{`"new_number":4711`, `"new_flag":true`, `"u"`, `"e"`, `"d"`, `"z"`} {
						require.Contains(t, got, kept)
					}
				}
			}
		}
	}
	named := mapping.Personal{Preset: mapping.Drop, Fields: actions{"new_text": mapping.Keep, "new_object.a": mapping.Keep, "user.new_text": mapping.Hash}, Salt: []byte(salt)}
	m := newMapper(t, mapping.Options{Webhook: true, Personal: named})
	require.Equal(t, `{"event_type":"new","user":{"new_text":`+hashed("x")+`},"properties":{"new_text":"x"}}`,
		string(m.Append(nil, []byte(`{"event_type":"new","user":{"new_text":"x"},"properties":{"new_text":"x","new_object":{"a":"x"}}}`), "")), "what is named wins")
	late := `{"properties":{"email_address":"e","esp":"SendGrid","new":"x"},"user":{"user_id":"u"},"event_type":"users.messages.email.Open"}`
	require.Equal(t, `{"properties":{"esp":"SendGrid"},"user":{"user_id":"u"},"event_type":"users.messages.email.Open"}`, string(m.Append(nil, []byte(late), "")), "the type may come last")
	_, err := mapping.New(mapping.Options{Personal: mapping.Personal{Unknown: mapping.Drop}})
	require.ErrorContains(t, err, "personal.unknown")
}

// TestRedacted: what Braze has removed is no id and no trait, or it would make
// one person of all; it is counted, once.
func TestRedacted(t *testing.T) {
	const gone = `"[REDACTED]"`
	const event = `{"event_type":"users.messages.email.Open","id":` + gone + `,"time":1700000000,"user":{"user_id":"u","external_user_id":` + gone + `,"device_id":` + gone +
		`},"properties":{"ad_id":` + gone + `,"email_address":` + gone + `,"to_phone_number":` + gone + `,"browser":` + gone + `}}`
	for _, personal := range []mapping.Personal{{}, {Preset: mapping.Hash, Salt: []byte(salt), Fields: actions{"id": mapping.Hash, "user.external_user_id": mapping.Hash}}} {
		registry := prometheus.NewRegistry()
		watch := drift.New(drift.Config{Registerer: registry})
		m := newMapper(t, mapping.Options{Drift: watch, Personal: personal})
		for range 2 {
			got := string(m.Append(nil, []byte(event), "fallback"))
			require.Equal(t, 1, strings.Count(got, "REDACTED"), got)
			require.Contains(t, got, `"browser":`+gone)
			require.Contains(t, got, `"messageId":"fallback","anonymousId":"u","timestamp"`)
		}
		require.Equal(t, map[string]float64{
			"id": 1, "user.external_user_id": 1, "user.device_id": 1, "properties.ad_id": 1, "properties.email_address": 1, "properties.to_phone_number": 1,
		}, redacted(t, registry))
	}
	m := newMapper(t, mapping.Options{Identify: true, Alias: true})
	require.Contains(t, string(m.Append(nil, []byte(`{"event_type":"users.profile.Update","user":{"user_id":"u"},"properties":{"first_name":`+gone+`,"gender":`+gone+`,"last_name":"L"}}`), "")),
		`"traits":{"lastName":"L"}}`)
	require.Contains(t, string(m.Append(nil, []byte(`{"event_type":"users.UserOrphan","user":{"user_id":"u"},"properties":{"orphaned_by_id":`+gone+`}}`), "")), `"type":"track"`)
	var batch currents.Batch
	require.NoError(t, batch.ScanEvent([]byte(`{"event_type":"t","id":`+gone+`,"user":{"user_id":`+gone+`,"external_user_id":`+gone+`}}`)))
	require.Equal(t, currents.NoIdentity, batch.Events[0].Problem())
}

func redacted(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	families, err := registry.Gather()
	require.NoError(t, err)
	found := map[string]float64{}
	for _, family := range families {
		if family.GetName() == "bridge_redacted_total" {
			for _, m := range family.GetMetric() {
				if n := m.GetCounter().GetValue(); n > 0 {
					found[m.GetLabel()[0].GetValue()] = n
				}
			}
		}
	}
	return found
}

// TestPresetByType is for a glossary that flags a field for some types only.
func TestPresetByType(t *testing.T) {
	g := &schemas.Glossary{Events: []schemas.EventType{
		{Name: "person", User: []schemas.Field{{Name: "zone", PII: true}}, Properties: []schemas.Field{{Name: "name", PII: true}, {Name: "age", PII: true}}},
		{Name: "thing", User: []schemas.Field{{Name: "zone"}}, Properties: []schemas.Field{{Name: "name"}}},
	}}
	m, err := mapping.New(mapping.Options{Glossary: g, Webhook: true, Personal: mapping.Personal{Preset: mapping.Drop}})
	require.NoError(t, err)
	const rest = `"user":{"zone":1,"age":2,"x":3},"properties":{"name":4,"age":5,"zone":6,"x":7}`
	for event, want := range map[string]string{
		`{"event_type":"person",` + rest + `}`:                           `{"event_type":"person","user":{"x":3},"properties":{"x":7}}`,
		`{"event_type":"thing",` + rest + `}`:                            `{"event_type":"thing","user":{"zone":1,"x":3},"properties":{"name":4,"x":7}}`,
		`{` + rest + `,"event_type":"thin\u0067"}`:                       `{"user":{"zone":1,"x":3},"properties":{"name":4,"x":7},"event_type":"thin\u0067"}`,
		`{"event_type":"thing",` + rest + `,"event\u005ftype":"person"}`: `{"event_type":"thing","user":{"x":3},"properties":{"x":7},"event\u005ftype":"person"}`,
		`{"event_type":"new",` + rest + `}`:                              `{"event_type":"new","user":{"x":3},"properties":{"x":7}}`,
		`{"event_type":["thing"],` + rest + `}`:                          `{"event_type":["thing"],"user":{"x":3},"properties":{"x":7}}`,
		`{` + rest + `}`:                                                 `{"user":{"x":3},"properties":{"x":7}}`,
	} {
		require.Equal(t, want, string(m.Append(nil, []byte(event), "")))
	}
}

// TestDroppedIdentity: what has no other id is kept back, since RudderStack
// would refuse its neighbours with it.
func TestDroppedIdentity(t *testing.T) {
	type ids = map[string]bool
	const both, user, external = `{"user_id":"u","external_user_id":"e"}`, `{"user_id":"u","external_user_id":" "}`, `{"user_id":null,"external_user_id":"e"}`
	const none = `{"user_id":"","external_user_id":0}`
	for _, webhook := range []bool{true, false} {
		for field, want := range map[string]ids{
			"user.user_id":          {both: true, user: false, external: true, none: true},
			"user.external_user_id": {both: true, user: true, external: false, none: true},
			"user.device_id":        {both: true, user: true, external: true, none: true},
		} {
			m := newMapper(t, mapping.Options{Webhook: webhook, Personal: mapping.Personal{Fields: actions{field: mapping.Drop}}})
			for u, keeps := range want {
				event := []byte(`{"event_type":"t","user":` + u + `}`)
				require.Equal(t, keeps, m.Keeps(event), "%v %s %s", webhook, field, event)
				if webhook && keeps && u != none {
					require.Empty(t, sourceloss.Of(m.Append(nil, event, "")).Reason)
				}
			}
			require.True(t, m.Keeps([]byte(`5`)))
			require.True(t, m.Keeps([]byte(`{"user`)))
		}
	}
	m := newMapper(t, mapping.Options{Filter: mapping.Filter{Deny: []string{"t"}}, Personal: mapping.Personal{Fields: actions{"user.user_id": mapping.Drop}}})
	require.False(t, m.Keeps([]byte(`{"event_type":"t","user":`+both+`}`)))
	require.True(t, m.Keeps([]byte(`{"event_type":"s","user":`+both+`}`)))
	require.False(t, m.Keeps([]byte(`{"event_type":"s","user":`+user+`}`)))
}

// reference applies rules to an event by way of maps: the last of duplicate
// keys, and values only.
type reference struct {
	t     *testing.T
	rules actions
}

func (r *reference) event(event []byte) json.RawMessage {
	out := object{}
	for key, value := range decode(r.t, event) {
		isObject := value[0] == '{'
		switch name := strings.TrimPrefix(key, "properties."); {
		case key == "event_type" || key == "time" || (key == "user" || key == "properties") && !isObject:
			out[key] = value
		case key == "user":
			out[key] = r.members(value, func(out object, key string, value json.RawMessage) {
				r.member(out, key, "user."+key, value, strings.HasSuffix(key, "_id"))
			})
		case key == "properties":
			out[key] = r.members(value, func(out object, key string, value json.RawMessage) { r.property(out, key, key, value) })
		case key == "id" || strings.HasPrefix(key, "user."):
			r.member(out, key, key, value, true)
		default:
			r.property(out, key, name, value)
		}
	}
	return r.marshal(out)
}

func (r *reference) members(value json.RawMessage, each func(out object, key string, value json.RawMessage)) json.RawMessage {
	out := object{}
	for key, value := range decode(r.t, value) {
		each(out, key, value)
	}
	return r.marshal(out)
}

func (r *reference) property(out object, key, name string, value json.RawMessage) {
	switch {
	case strings.HasPrefix(name, "user."):
		out[key] = value
	case r.rules[name] == "" && value[0] == '{':
		out[key] = r.members(value, func(out object, key string, value json.RawMessage) {
			if head := name; !strings.Contains(head, ".") { // a rule has one level
				r.member(out, key, head+"."+key, value, false)
			} else {
				out[key] = value
			}
		})
	default:
		r.member(out, key, name, value, false)
	}
}

func (r *reference) member(out object, key, name string, value json.RawMessage, id bool) {
	switch action := r.rules[name]; {
	case action == mapping.Drop:
	case action == mapping.Hash && string(value) != "null" && (!id || currents.UsableIdentity(value)):
		text := textOf(r.t, value)
		if value[0] == '{' || value[0] == '[' {
			var compact bytes.Buffer
			require.NoError(r.t, json.Compact(&compact, value))
			text = compact.String()
		}
		out[key] = json.RawMessage(hashed(text))
	default:
		out[key] = value
	}
}

func (r *reference) marshal(members object) json.RawMessage {
	raw, err := json.Marshal(members)
	require.NoError(r.t, err)
	return raw
}

// FuzzPersonal holds both modes against the reference, and every member that no
// rule names against its own bytes.
func FuzzPersonal(f *testing.F) {
	for _, seed := range seeds() {
		f.Add([]byte(seed), "a")
	}
	f.Add([]byte(`{ "id":"x" , "user":{"external_user_id":" ","device_id":1 , "a":2}, "properties":{"email\u005faddress":{"x": [1 ]},"a":{ "b":"\u00e9", "b":null, "c" : 1},"x":1,"platform":2 } }`), "x")
	f.Add([]byte(`{"user.device_id":0,"properties.platform":1,"a":{"b":2},"properties.a":{"b":3},"email_address":"e","properties":[{"platform":1}]}`), "user.y")
	f.Add([]byte(`{"properties":{"platform":1,"b":{"c":1,"c":2},"platform":2},"properties":{"b":{"c":{"d":[]}}}}`), "b.c")
	none := &schemas.Glossary{}
	f.Fuzz(func(t *testing.T, event []byte, field string) {
		r := &reference{t, actions{
			field: mapping.Drop, "email_address": mapping.Hash, "platform": mapping.Drop, "a.b": mapping.Hash,
			"user.external_user_id": mapping.Hash, "user.device_id": mapping.Drop, "id": mapping.Hash,
		}}
		personal := mapping.Personal{Fields: r.rules, Salt: []byte(salt)}
		webhook, err := mapping.New(mapping.Options{Glossary: none, Webhook: true, Personal: personal})
		if err != nil || strings.Count(field, ".") > 1 || field == "user.user_id" {
			return
		}
		got := webhook.Append(nil, event, "")
		events, err := mapping.New(mapping.Options{Glossary: none, Personal: personal})
		require.NoError(t, err)
		message := events.Append(nil, event, "fallback")
		if len(event) == 0 || event[0] != '{' || event[len(event)-1] != '}' || !json.Valid(event) || !plainText(event, field) {
			return // that it did not panic is enough
		}
		want := r.event(event)
		require.Equal(t, exact(t, want), exact(t, got), "%s", event)
		require.Equal(t, exact(t, []byte(mapped(string(want)))), exact(t, message), "%s", event)
		require.Equal(t, untouched(event, r.rules), untouched(got, r.rules), "%s", got)
	})
}

// untouched returns the members of an event, and those of user and properties,
// that no rule names and that have no members, byte for byte.
func untouched(event []byte, rules actions) (members []string) {
	add := func(object []byte, prefix string) {
		for f := currents.Fields(object); f.Next(); {
			name := prefix + strings.TrimPrefix(string(f.AppendKey(nil)), "properties.")
			if _, named := rules[name]; !named && f.Value()[0] != '{' {
				start, end := f.Span()
				members = append(members, string(object[start:end]))
			}
		}
	}
	add(event, "")
	for f := currents.Fields(event); f.Next(); {
		switch {
		case f.KeyIs("user"):
			add(f.Value(), "user.")
		case f.KeyIs("properties"):
			add(f.Value(), "")
		}
	}
	return members
}
