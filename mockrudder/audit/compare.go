package audit

import (
	"encoding/json"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
	"github.com/currentsbridge/currentsbridge/mockrudder/internal/gateway"
)

// parsedEvent is an event; its numbers are json.Number.
type parsedEvent struct {
	eventType string // JSON if it is not a string
	object    map[string]any
}

func parseEvent(raw string) parsedEvent {
	object := decode(raw)
	p := parsedEvent{object: object}
	switch t := object["event_type"].(type) {
	case nil:
	case string:
		p.eventType = t
	default:
		p.eventType = encode(t)
	}
	return p
}

// missing names the property because of which an event is dropped, if that is known.
func (p parsedEvent) missing() string {
	user, _ := p.object["user"].(map[string]any)
	switch {
	case p.object == nil:
		return ""
	case empty(p.object["event_type"]):
		return "event_type"
	case empty(user["user_id"]) && empty(user["external_user_id"]):
		return "user"
	}
	properties, _ := p.object["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		for part := range strings.SplitSeq(name, ".") {
			if part == "__proto__" || part == "constructor" || part == "prototype" {
				return "properties." + name
			}
		}
	}
	return ""
}

func empty(v any) bool {
	if n, ok := v.(json.Number); ok {
		f, err := n.Float64()
		return err == nil && f == 0
	}
	return v == nil || v == "" || v == false
}

// places are the fields with a place of their own in the message, by their path in the
// event.
var places = map[string]string{
	"event_type":                     "event",
	"id":                             "messageId",
	"time":                           "timestamp",
	"properties":                     "properties", // that are no object
	"user.user_id":                   "anonymousId",
	"user.external_user_id":          "userId",
	"user.device_id":                 "context.device.id",
	"user.timezone":                  "context.timezone",
	"properties.device_model":        "context.device.model",
	"properties.os_version":          "context.os.version",
	"properties.platform":            "context.os.name",
	"properties.email_address":       "traits.email",
	"properties.to_phone_number":     "traits.phone",
	"properties.user_agent":          "context.userAgent",
	"properties.ad_id":               "context.device.advertisingId",
	"properties.ad_tracking_enabled": "context.device.adTrackingEnabled",
}

// differences compares an event with the message that RudderStack would store.
func differences(sent parsedEvent, stored *gateway.Message) (found []Finding) {
	message := decode(stored.Text())
	message["messageId"] = stored.MessageID
	properties, _ := message["properties"].(map[string]any)
	compare := func(path string, before any) {
		place, moved := places[path]
		name, isProperty := strings.CutPrefix(path, "properties.")
		after, there := properties[name]
		var d *Finding
		switch {
		case path == "time":
			d = sameTime(before, message["timestamp"])
		case moved || !isProperty:
			d = sameField(path, before, at(message, place))
		case there:
			d = sameValue(path, before, after)
		default:
			d = find(path, name, before, message)
		}
		if d != nil {
			found = append(found, *d)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sent.object)) {
		members, isObject := sent.object[name].(map[string]any)
		if !isObject || name != "user" && name != "properties" {
			compare(name, sent.object[name])
			continue
		}
		for _, member := range slices.Sorted(maps.Keys(members)) {
			compare(name+"."+member, members[member])
		}
	}
	return found
}

// find searches for a property that is not under its name.
func find(path, name string, v any, message map[string]any) *Finding {
	d := &Finding{Property: path, What: Moved, Example: Example{Before: encode(v)}}
	properties := encode(message["properties"])
	if after, ok := message[path]; ok && strings.Contains(name, "/") {
		d.Detail, d.Example.After = "to a key of its own at the top of the message", encode(after)
		return d
	}
	if list, ok := message["properties"].([]any); ok {
		if i, err := strconv.Atoi(name); err != nil || i < 0 || i >= len(list) {
			d.What = Lost
		}
		d.Detail, d.Example.After = "properties became a list", properties
		return d
	}
	unescaped := strings.ReplaceAll(path, `\`, "")
	if after := at(message, unescaped); after != nil && unescaped != path {
		d.Detail, d.Example.After = "a backslash is gone from its name", encode(after)
	} else if at(message, path) != nil {
		d.Detail, d.Example.After = "a name with dots became objects inside each other", properties
	} else {
		d.What, d.Detail = Lost, "it is not in the message"
	}
	return d
}

// at returns the value at a path of names.
func at(message map[string]any, path string) any {
	var v any = message
	for name := range strings.SplitSeq(path, ".") {
		object, _ := v.(map[string]any)
		if v = object[name]; v == nil {
			return nil
		}
	}
	return v
}

// sameField compares a field with a place of its own. null is not written there, which
// is no loss.
func sameField(path string, before, after any) *Finding {
	switch {
	case before == nil:
		return nil
	case after == nil:
		return &Finding{Property: path, What: Lost, Detail: "the message has no place for it, or not for this value",
			Example: Example{Before: encode(before)}}
	}
	return sameValue(path, before, after)
}

func sameValue(path string, before, after any) *Finding {
	what := equal(before, after)
	if what == "" {
		return nil
	}
	detail := "the value is another one"
	if what == Rounded {
		detail = "RudderStack reads numbers as float64"
	}
	return &Finding{Property: path, What: what, Detail: detail, Example: Example{Before: encode(before), After: encode(after)}}
}

func sameTime(before, after any) *Finding {
	if before == nil {
		return nil
	}
	text, _ := after.(string)
	d := &Finding{Property: "time", What: Changed, Detail: "read as whole seconds since 1970, as far as that goes",
		Example: Example{Before: encode(before), After: encode(after)}}
	if after == nil {
		d.What, d.Example.After, d.Detail = Lost, "", "RudderStack takes the time of arrival"
		return d
	}
	stamp, err := time.Parse("2006-01-02T15:04:05.000Z", text)
	number, isNumber := before.(json.Number)
	if err != nil || !isNumber {
		return d
	}
	if seconds, err := number.Int64(); err != nil || seconds != stamp.Unix() {
		return d
	}
	return nil
}

// equal compares JSON values, numbers by their exact value. "" is for equal values.
func equal(before, after any) What {
	switch {
	case reflect.DeepEqual(before, after), reflect.DeepEqual(numbers(before, exact), numbers(after, exact)):
		return ""
	case reflect.DeepEqual(numbers(before, float), numbers(after, float)):
		return Rounded
	}
	return Changed
}

// numbers returns a JSON value with another representation of its numbers.
func numbers(v any, as func(json.Number) any) any {
	switch v := v.(type) {
	case json.Number:
		return as(v)
	case map[string]any:
		object := map[string]any{}
		for name, member := range v {
			object[name] = numbers(member, as)
		}
		return object
	case []any:
		list := make([]any, len(v))
		for i, element := range v {
			list[i] = numbers(element, as)
		}
		return list
	}
	return v
}

// exact is the same for all texts of one value. Numbers beyond float64 are not computed.
func exact(n json.Number) any {
	const longest = 4000
	mantissa, _, _ := strings.Cut(strings.ToLower(string(n)), "e")
	f, err := n.Float64()
	switch {
	case strings.Trim(mantissa, "-0.") == "":
		return "0"
	case f == 0 || err != nil || len(n) > longest:
		return string(n)
	}
	value, _ := new(big.Rat).SetString(string(n))
	return value.RatString()
}

func float(n json.Number) any {
	f, _ := n.Float64()
	return f
}

// decode reads an object of valid JSON, with numbers as json.Number.
func decode(text string) map[string]any {
	object, _ := jsonlex.Decode(text, false, scalar).(map[string]any)
	return object
}

func scalar(text string) any {
	switch text[0] {
	case '"':
		return jsonlex.Text(text)
	case 't', 'f':
		return text == "true"
	case 'n':
		return nil
	default:
		return json.Number(text)
	}
}

func encode(v any) string {
	text, _ := gateway.Marshal(v)
	return string(text)
}
