package oracle

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Fate is what must become of an event that was acknowledged.
type Fate uint8

const (
	Deliver  Fate = iota // it must reach RudderStack
	Dead                 // it cannot be delivered and must be in the dead letters
	Filtered             // the connector's settings drop it
)

// Rules are the parts of a connector's settings that decide what is expected.
type Rules struct {
	// Webhook says that events go as they are to the webhook of a Braze source;
	// otherwise they become messages for /v1/batch.
	Webhook bool
	// MissingExternalUserID is the fate of an event that has an identity but
	// no external_user_id. The zero value delivers it.
	MissingExternalUserID Fate
}

// Expectation is what the facts say of one event.
type Expectation struct {
	// ID is the event's id as text, empty where it has none that can be used.
	ID string
	// Type is the event_type where it is a string.
	Type string
	Fate Fate
	// Reason is the word for a dead event, such as no_identity.
	Reason string
	// Arrives is what must come in at RudderStack: in events mode the message,
	// without messageId where ID is empty (the bridge makes one up); in webhook
	// mode the event as it is. Nil unless Fate is Deliver.
	Arrives map[string]any
}

// Expect works out what must become of one event, given as Braze sends it. What is
// not JSON at all, which Braze never sends, is an error.
func Expect(event []byte, rules Rules) (Expectation, error) {
	v, err := Decode(event)
	if err != nil {
		return Expectation{}, fmt.Errorf("event is not JSON: %w", err)
	}
	return expectValue(v, rules), nil
}

// expectValue changes v in events mode: its parts become the message.
func expectValue(v any, rules Rules) Expectation {
	event, ok := v.(map[string]any)
	if !ok {
		return Expectation{Fate: Dead, Reason: "not_an_object"}
	}
	user, _ := event["user"].(map[string]any)
	if !rules.Webhook {
		dropRedacted(event, user)
	}
	e := Expectation{ID: usableID(event["id"])}
	e.Type, _ = event["event_type"].(string)
	e.Fate, e.Reason = fateOf(event, user, rules)
	if e.Fate != Deliver {
		return e
	}
	if e.Arrives = event; !rules.Webhook {
		e.Arrives = messageOf(event, user, e.ID)
	}
	return e
}

// dropRedacted removes the text that Braze puts in place of a redacted id or trait: it
// is the same for all users.
func dropRedacted(event, user map[string]any) {
	drop := func(from map[string]any, keys ...string) {
		for _, key := range keys {
			if from[key] == "[REDACTED]" {
				delete(from, key)
			}
		}
	}
	drop(event, "id")
	drop(user, "user_id", "external_user_id", "device_id")
	properties, _ := event["properties"].(map[string]any)
	drop(properties, "ad_id", "email_address", "to_phone_number")
}

// fateOf follows the order in which the bridge must decide: what cannot be
// delivered at all is dead before any setting of the connector is looked at.
func fateOf(event, user map[string]any, rules Rules) (Fate, string) {
	external := usable(user["external_user_id"])
	switch {
	case falsy(event["event_type"]):
		return Dead, "no_event_type"
	case !external && !usable(user["user_id"]):
		return Dead, "no_identity"
	}
	if rules.Webhook {
		properties, _ := event["properties"].(map[string]any)
		if hasUnsafeKey(properties) {
			return Dead, "unsafe_key"
		}
		if hasNUL(event) {
			return Dead, "nul"
		}
	}
	if !external && rules.MissingExternalUserID != Deliver {
		if rules.MissingExternalUserID == Dead {
			return Dead, "no_external_user_id"
		}
		return Filtered, ""
	}
	return Deliver, ""
}

// usable says whether a value can stand for a person: RudderStack refuses a
// request with an id of nothing but white space.
func usable(v any) bool {
	if text, ok := v.(string); ok {
		return strings.TrimSpace(text) != ""
	}
	return !falsy(v)
}

// usableID is an event's id as text: a string with something in it, or a
// number as it is written. Other types cannot be a messageId.
func usableID(v any) string {
	if !usable(v) {
		return ""
	}
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// fields are those of user and of properties that have a place of their own in
// the message.
var fields = [...]struct{ section, name, to string }{
	{"user", "user_id", "anonymousId"},
	{"user", "external_user_id", "userId"},
	{"user", "device_id", "context.device.id"},
	{"user", "timezone", "context.timezone"},
	{"properties", "device_model", "context.device.model"},
	{"properties", "ad_id", "context.device.advertisingId"},
	{"properties", "ad_tracking_enabled", "context.device.adTrackingEnabled"},
	{"properties", "os_version", "context.os.version"},
	{"properties", "platform", "context.os.name"},
	{"properties", "user_agent", "context.userAgent"},
	{"properties", "email_address", "traits.email"},
	{"properties", "to_phone_number", "traits.phone"},
}

// messageOf follows the table of RudderStack's own Braze source (docs/mapping.md),
// without the damage that source does to keys and numbers. null sets no field, but
// "", 0 and false do. Of properties stays what has no place of its own; what has one
// leaves even where it is null.
func messageOf(event, user map[string]any, id string) map[string]any {
	message := map[string]any{
		"context": map[string]any{
			"library":     map[string]any{"name": "unknown", "version": "unknown"},
			"integration": map[string]any{"name": "Braze"},
		},
		"integrations": map[string]any{"Braze": false},
		"type":         "track",
		"event":        event["event_type"],
	}
	if id != "" {
		message["messageId"] = id
	}
	if text, _ := Timestamp(event["time"]); text != "" {
		message["timestamp"] = text
	}
	properties, isObject := event["properties"].(map[string]any)
	for _, f := range fields {
		from := user
		if f.section == "properties" {
			from = properties
		}
		if v := from[f.name]; v != nil {
			put(message, f.to, v)
		}
		delete(from, f.name)
	}
	if v := event["properties"]; v != nil && (!isObject || len(properties) > 0) {
		message["properties"] = v
	}
	return message
}

// put sets a field at a path, of names with dots between.
func put(in map[string]any, path string, v any) {
	name, below, deeper := strings.Cut(path, ".")
	if !deeper {
		in[name] = v
		return
	}
	next, ok := in[name].(map[string]any)
	if !ok {
		next = map[string]any{}
		in[name] = next
	}
	put(next, below, v)
}

// hasUnsafeKey says whether RudderStack's Braze source would drop the event:
// it reads every property key as a path and refuses these segments.
func hasUnsafeKey(properties map[string]any) bool {
	for key := range properties {
		if strings.Contains(key, "/") {
			continue // one key, not a path
		}
		for segment := range strings.SplitSeq(key, ".") {
			switch strings.ReplaceAll(segment, `\`, "") {
			case "__proto__", "constructor", "prototype":
				return true
			}
		}
	}
	return false
}

func hasNUL(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.ContainsRune(v, 0)
	case []any:
		if slices.ContainsFunc(v, hasNUL) {
			return true
		}
	case map[string]any:
		for key, item := range v {
			if strings.ContainsRune(key, 0) || hasNUL(item) {
				return true
			}
		}
	}
	return false
}
