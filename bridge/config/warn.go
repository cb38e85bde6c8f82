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
	glossary := sync.OnceValues(func() (types, fields map[string]bool) { return namesOf(c.Glossary) }) // to read one takes a while
	slips := func(key, kind string, known func(name string) bool, names []string) {
		for _, name := range names {
			if !known(name) {
				warn("%s: the glossary has no %s %s", key, kind, name)
			}
		}
	}
	knownType := func(pattern string) bool { types, _ := glossary(); return fitsAny(pattern, types) }
	knownField := func(name string) bool {
		_, fields := glossary()
		head, _, nested := strings.Cut(name, ".") // what is below a property, as in custom_properties.plan, is free
		return fields[name] || nested && fields[head]
	}
	for _, connector := range c.Connectors {
		where := "connector " + connector.Name + ": "
		if connector.Open {
			warn("%stakes events from anyone", where)
		}
		if u, err := url.Parse(connector.RudderURL); err == nil && u.Scheme == "http" && public(u.Hostname()) {
			warn("%srudder_url: http:// sends events and the write key unencrypted to %s; use https://", where, u.Hostname())
		}
		filter := connector.Filter
		slips(where+"filter.allow", "event type", knownType, filter.Allow)
		slips(where+"filter.deny", "event type", knownType, filter.Deny)
		slips(where+"names", "event type", knownType, sortedKeys(connector.Names.Map))
		slips(where+"filter.allow_properties", "field", knownField, sortedKeys(filter.AllowProperties))
		slips(where+"filter.deny_properties", "field", knownField, sortedKeys(filter.DenyProperties))
		slips(where+"pii.fields", "field", knownField, sortedKeys(connector.PII.Fields))
	}
	return list
}

// namesOf reads a glossary that Check has read: the names of event types, and those of
// fields, as in pii.fields.
func namesOf(file string) (types, fields map[string]bool) {
	types, fields = map[string]bool{}, map[string]bool{"id": true}
	glossary, err := schemas.LoadFile(file)
	if err != nil {
		return types, fields
	}
	for _, e := range glossary.Events {
		types[e.Name] = true
		for _, f := range e.Properties {
			fields[f.Name] = true
		}
		for _, f := range e.User {
			fields["user."+f.Name] = true
		}
	}
	return types, fields
}

// fitsAny tells whether a type fits a pattern, or the pattern is none.
func fitsAny(pattern string, types map[string]bool) bool {
	prefix, star := strings.CutSuffix(pattern, "*")
	for name := range types {
		if fits, err := path.Match(pattern, name); fits || err != nil || star && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

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
