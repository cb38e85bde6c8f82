package mapping_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/schemas"
)

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
