package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/currentsbridge/currentsbridge/schemas"
)

// Warnings names what is allowed in c and may be a slip. It holds no secret.
func (c Config) Warnings() (list []string) {
	warn := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if c.AdminToken == "" && !loopback(c.Admin) {
		warn("admin: %s can be reached from other machines and needs no token; set admin_token, or listen on 127.0.0.1", c.Admin)
	}
	glossary := sync.OnceValue(func() names { return namesOf(c.Glossary) }) // to read one takes a while
	noType := func(name string) string { return glossary().noType(name) }
	noProperty := func(name string) string { return noField(name, glossary().properties) }
	noAnyField := func(name string) string { return noField(name, glossary().fields) }
	for _, connector := range c.Connectors {
		where := "connector " + connector.Name + ": "
		if connector.Open {
			warn("%stakes events from anyone", where)
		}
		if u, err := url.Parse(connector.RudderURL); err == nil && u.Scheme == "http" && public(u.Hostname()) {
			warn("%srudder_url: http:// sends events and the write key unencrypted to %s; use https://", where, u.Hostname())
		}
		filter := connector.Filter
		for _, use := range []struct {
			key   string
			names []string
			slip  func(name string) string
		}{
			{"filter.allow[i]", filter.Allow, noType},
			{"filter.deny[i]", filter.Deny, noType},
			{"names", sortedKeys(connector.Names.Map), noType},
			{"filter.allow_properties", sortedKeys(filter.AllowProperties), noProperty},
			{"filter.deny_properties", sortedKeys(filter.DenyProperties), noProperty},
			{"pii.fields", sortedKeys(connector.PII.Fields), noAnyField},
		} {
			for i, name := range use.names {
				if slip := use.slip(name); slip != "" {
					warn("%s%s: the glossary has no %s", where, strings.Replace(use.key, "[i]", indexed("", i), 1), slip)
				}
			}
		}
	}
	return list
}

// names are what a glossary knows.
type names struct {
	types      map[string]bool
	patterns   map[string]bool // users.messages.* and such, for suggestions
	properties map[string]bool
	fields     map[string]bool // properties, and user.NAME
}

// namesOf reads a glossary that Check has read.
func namesOf(file string) names {
	n := names{types: map[string]bool{}, patterns: map[string]bool{}, properties: map[string]bool{}, fields: map[string]bool{"id": true}}
	glossary, err := schemas.LoadFile(file)
	if err != nil {
		return n
	}
	for _, e := range glossary.Events {
		n.types[e.Name] = true
		for i, r := range e.Name {
			if r == '.' {
				n.patterns[e.Name[:i]+".*"] = true
			}
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

// noType names a pattern that no type fits; empty: one does.
func (n names) noType(pattern string) string {
	prefix, star := strings.CutSuffix(pattern, "*")
	for name := range n.types {
		if fits, err := path.Match(pattern, name); fits || err != nil || star && strings.HasPrefix(name, prefix) {
			return ""
		}
	}
	candidates := n.types
	if strings.ContainsAny(pattern, "*?[") {
		candidates = n.patterns
	}
	return "event type " + pattern + suggestion(pattern, candidates)
}

// noField names a field that is not known; empty: it is. What is below a property, as
// in custom_properties.plan, is free.
func noField(name string, known map[string]bool) string {
	head, _, nested := strings.Cut(name, ".")
	if known[name] || nested && known[head] {
		return ""
	}
	return "field " + name + suggestion(name, known)
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
		if d := distance(name, word); d < best {
			near, best = word, d
		}
	}
	return near
}

// distance counts the letters to insert, remove or change to make b of a.
func distance(a, b string) int {
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
