package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/schemas"
)

// Warnings names what is allowed in c and may be a slip. It holds no secret.
func (c Config) Warnings() []string {
	w := warner{}
	if c.AdminToken == "" && !loopback(c.Admin) {
		w.add("admin: %s can be reached from other machines and needs no token; set admin_token, or listen on 127.0.0.1", c.Admin)
	}
	var known names
	if slices.ContainsFunc(c.Connectors, Connector.usesNames) { // to read a glossary takes a while
		glossary, err := schemas.LoadFile(c.Glossary)
		if err != nil {
			w.add("glossary: %v", err)
		} else {
			known = namesOf(glossary)
		}
	}
	for _, connector := range c.Connectors {
		w.where = "connector " + connector.Name + ": "
		w.connector(connector, known)
	}
	return w.list
}

// usesNames tells whether a connector's settings have names of the glossary in them.
func (c Connector) usesNames() bool {
	return len(c.Filter.Allow)+len(c.Filter.Deny)+len(c.Filter.AllowProperties)+len(c.Filter.DenyProperties)+len(c.Names.Map)+len(c.PII.Fields) > 0
}

// warner collects warnings; where is what each begins with.
type warner struct {
	where string
	list  []string
}

func (w *warner) add(format string, args ...any) {
	w.list = append(w.list, w.where+fmt.Sprintf(format, args...))
}

func (w *warner) connector(c Connector, known names) {
	if c.Open {
		w.add("takes events from anyone")
	}
	if u, err := url.Parse(c.RudderURL); err == nil && u.Scheme == "http" && public(u.Hostname()) {
		w.add("rudder_url: http:// sends events and the write key unencrypted to %s; use https://", u.Hostname())
	}
	if len(known.types) == 0 {
		return
	}
	for i, pattern := range c.Filter.Allow {
		w.eventType(indexed("filter.allow", i), pattern, known)
	}
	for i, pattern := range c.Filter.Deny {
		w.eventType(indexed("filter.deny", i), pattern, known)
	}
	for _, pattern := range sortedKeys(c.Names.Map) {
		w.eventType("names", pattern, known)
	}
	for _, name := range sortedKeys(c.Filter.AllowProperties) {
		w.field("filter.allow_properties", name, known.properties)
	}
	for _, name := range sortedKeys(c.Filter.DenyProperties) {
		w.field("filter.deny_properties", name, known.properties)
	}
	for _, name := range sortedKeys(c.PII.Fields) {
		w.field("pii.fields", name, known.fields)
	}
}

// names are what a glossary knows.
type names struct {
	types      map[string]bool
	patterns   map[string]bool // users.messages.* and such, for suggestions
	properties map[string]bool
	fields     map[string]bool // properties, and user.NAME
}

func namesOf(g *schemas.Glossary) names {
	n := names{types: map[string]bool{}, patterns: map[string]bool{}, properties: map[string]bool{}, fields: map[string]bool{"id": true}}
	for i := range g.Events {
		e := &g.Events[i]
		n.types[e.Name] = true
		for prefix := e.Name; ; {
			at := strings.LastIndexByte(prefix, '.')
			if at < 0 {
				break
			}
			prefix = prefix[:at]
			n.patterns[prefix+".*"] = true
		}
		for _, f := range e.Properties {
			n.properties[f.Name], n.fields[f.Name] = true, true
		}
		for _, f := range e.User {
			n.fields["user."+f.Name] = true
		}
	}
	return n
}

// eventType warns of a pattern that no type of the glossary fits.
func (w *warner) eventType(key, pattern string, known names) {
	for name := range known.types {
		if fits, err := path.Match(pattern, name); fits || err != nil {
			return
		}
		if prefix, star := strings.CutSuffix(pattern, "*"); star && strings.HasPrefix(name, prefix) {
			return
		}
	}
	candidates := known.types
	if strings.ContainsAny(pattern, "*?[") {
		candidates = known.patterns
	}
	w.add("%s: the glossary has no event type %s%s", key, pattern, suggestion(pattern, candidates))
}

// field warns of a name that the glossary does not have. What is below a
// property, as in custom_properties.plan, is free.
func (w *warner) field(key, name string, known map[string]bool) {
	head, _, nested := strings.Cut(name, ".")
	if known[name] || nested && known[head] {
		return
	}
	w.add("%s: the glossary has no field %s%s", key, name, suggestion(name, known))
}

func suggestion(name string, known map[string]bool) string {
	if near := nearest(name, sortedKeys(known)); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// nearest returns the first word of those that take the fewest edits to become
// name; empty where that is a third of its letters or more.
func nearest(name string, words []string) (near string) {
	best := max(1, (len(name)-1)/3) + 1
	for _, word := range words {
		if d := distance(name, word, best); d < best {
			near, best = word, d
		}
	}
	return near
}

// distance counts the letters to insert, remove or change to make b of a. It
// stops counting at limit.
func distance(a, b string, limit int) int {
	if max(len(a)-len(b), len(b)-len(a)) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(row[j+1]+1, row[j]+1, change)
		}
	}
	return row[len(b)]
}

// loopback tells whether only this machine reaches an address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" {
		return err == nil
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// public tells whether a host is outside of private networks, as far as its name
// shows. Names without a dot are those of containers and services.
func public(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return !ip.IsLoopback() && !ip.IsPrivate() && !ip.IsLinkLocalUnicast()
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	return last != host && !slices.Contains([]string{"localhost", "local", "internal", "svc", "lan", "home", "test", "example", "invalid"}, last) &&
		!strings.HasSuffix(host, ".svc.cluster.local")
}
