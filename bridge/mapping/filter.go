package mapping

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
)

// filter decides which events leave.
type filter struct {
	types           *TypeFilter
	allowed, denied []condition
}

// TypeFilter is what a Filter says of event types alone. It is safe for
// concurrent use. Nil keeps every type.
type TypeFilter struct {
	allow, deny []string
	// What the patterns said of the types that came so far: a copy is made to
	// add one, so that reading needs no lock. Types come from outside, so there
	// is a limit to how many are kept, and how long they may be.
	cache atomic.Pointer[map[string]bool]
}

const (
	maxCached     = 512
	maxCachedType = 256
)

// Types returns what the filter says of event types alone, for a filter that New
// accepts; nil where it says nothing.
func (o Filter) Types() *TypeFilter {
	if len(o.Allow)+len(o.Deny) == 0 {
		return nil
	}
	return &TypeFilter{allow: o.Allow, deny: o.Deny}
}

// condition is a property with the values of a rule.
type condition struct {
	property   string
	head, rest string // the way to a nested property; empty where there is no dot
	values     []wanted
}

type wanted struct {
	text   string
	number bool
}

// newFilter returns nil where everything leaves.
func newFilter(o Filter, wrong *mistakes) *filter {
	if len(o.Allow)+len(o.Deny)+len(o.AllowProperties)+len(o.DenyProperties) == 0 {
		return nil
	}
	checkPatterns("filter.allow", o.Allow, wrong)
	checkPatterns("filter.deny", o.Deny, wrong)
	return &filter{
		types:   o.Types(),
		allowed: newConditions("filter.allow_properties", o.AllowProperties, wrong),
		denied:  newConditions("filter.deny_properties", o.DenyProperties, wrong),
	}
}

func checkPatterns(option string, patterns []string, wrong *mistakes) {
	for i, p := range patterns {
		at := fmt.Sprintf("%s[%d]", option, i)
		if p == "" {
			wrong.add(at, "the pattern is empty and fits no event type; write a type, or * for all")
		} else if _, err := path.Match(p, ""); err != nil {
			wrong.add(at, "%q is no pattern: * stands for any text, ? for one character, [ab] for one of them, and a backslash takes the next as it is", p)
		}
	}
}

func newConditions(option string, rules map[string][]string, wrong *mistakes) (list []condition) {
	for _, property := range slices.Sorted(maps.Keys(rules)) {
		c := condition{property: property}
		if head, rest, ok := strings.Cut(property, "."); ok {
			c.head, c.rest = head, rest
		}
		if property == "" {
			wrong.add(option, "a rule names no property")
		} else if len(rules[property]) == 0 {
			wrong.add(option+"."+property, "there is no value; list at least one")
		}
		for _, v := range rules[property] {
			c.values = append(c.values, wanted{v, isNumber(v)})
		}
		list = append(list, c)
	}
	return list
}

func isNumber(text string) bool {
	if text == "" || text[len(text)-1]-'0' > 9 { // JSON would allow white space there
		return false
	}
	return (text[0] == '-' || text[0]-'0' <= 9) && json.Valid([]byte(text))
}

// keeps reports whether an event leaves. What is no object does, so that it
// becomes a dead letter further on.
func (f *filter) keeps(event []byte) bool {
	if len(event) == 0 || event[0] != '{' {
		return true
	}
	var eventType, properties []byte
	for i := currents.Fields(event); i.Next(); {
		switch {
		case i.KeyIs("event_type"):
			eventType = i.Value()
		case i.KeyIs("properties"):
			properties = i.Value()
		}
	}
	var buf [64]byte
	if !f.types.KeepsType(plainText(eventType, buf[:0])) {
		return false
	}
	for i := range f.allowed {
		if !f.allowed[i].holds(properties) {
			return false
		}
	}
	for i := range f.denied {
		if f.denied[i].holds(properties) {
			return false
		}
	}
	return true
}

// KeepsType reports whether events of a type leave, as far as their type decides.
// The type is given as text. It asks the patterns once for each type.
func (f *TypeFilter) KeepsType(eventType []byte) bool {
	if f == nil {
		return true
	}
	known := f.cache.Load()
	if known != nil {
		if keeps, ok := (*known)[string(eventType)]; ok {
			return keeps
		}
	}
	text := string(eventType)
	keeps := (len(f.allow) == 0 || matches(f.allow, text)) && !matches(f.deny, text)
	if len(text) > maxCachedType || known != nil && len(*known) >= maxCached {
		return keeps
	}
	next := map[string]bool{text: keeps}
	if known != nil {
		maps.Copy(next, *known)
	}
	f.cache.CompareAndSwap(known, &next) // where another goroutine was first, the next event of this type adds it
	return keeps
}

func matches(patterns []string, text string) bool {
	for _, p := range patterns {
		if ok, _ := path.Match(p, text); ok { // New has refused bad ones
			return true
		}
	}
	return false
}

// holds reports whether the property is there and has one of the values.
func (c *condition) holds(properties []byte) bool {
	value := c.find(properties)
	if len(value) == 0 || value[0] == '{' || value[0] == '[' {
		return false
	}
	var buf [64]byte
	text := plainText(value, buf[:0])
	number := value[0] == '-' || value[0]-'0' <= 9
	for i := range c.values {
		w := &c.values[i]
		if string(text) == w.text || number && w.number && currents.SameNumber(value, []byte(w.text)) {
			return true
		}
	}
	return false
}

// find returns the raw value of the property: of a key of that very name, or
// else of the nested one.
func (c *condition) find(properties []byte) []byte {
	var literal, outer, inner []byte
	var scratch [64]byte
	for f := currents.Fields(properties); f.Next(); {
		switch key := f.PlainKey(scratch[:0]); {
		case string(key) == c.property:
			literal = f.Value()
		case c.head != "" && string(key) == c.head:
			outer = f.Value()
		}
	}
	if literal != nil {
		return literal
	}
	for f := currents.Fields(outer); f.Next(); {
		if f.KeyIs(c.rest) {
			inner = f.Value()
		}
	}
	return inner
}
