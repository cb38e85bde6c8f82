package bridge

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// check looks at every value. What rewrites messages must be refused here for
// a connector in webhook mode: RudderStack's own mapping makes the messages
// there.
func (c Config) check(p *problems, key keyFunc) {
	checkAddress(p, "listen", c.Listen)
	checkAddress(p, "admin", c.Admin)
	if c.Listen == c.Admin && !strings.HasSuffix(c.Listen, ":0") {
		p.add("admin", "must be another address than listen: the operator's pages are not for Braze")
	}
	if strings.TrimSpace(c.DataDir) == "" {
		p.add("data_dir", "is empty; it must be the directory that keeps the events")
	}
	switch {
	case c.Queue.Store == storePebble:
	case strings.HasPrefix(c.Queue.Store, "nats://"), strings.HasPrefix(c.Queue.Store, "tls://"):
		p.add("queue", "this build has no store for NATS; the only one is pebble")
	default:
		p.add("queue", "must be pebble, not %q", c.Queue.Store)
	}
	atLeast(p, "queue.max_size", c.Queue.MaxSize, 0)
	atLeast(p, "retain.size", c.Retain.Size, 0)
	between(p, "max_body", c.MaxBody, 1, 1<<30, formatSize)
	between(p, "grace", c.Grace, 0, time.Hour, time.Duration.String)
	oneWord(p, "log.format", c.Log.Format, "text", "json")
	oneWord(p, "log.level", c.Log.Level, "debug", "info", "warn", "error")
	if len(c.Connectors) == 0 {
		p.add("connectors", "is empty; at least one connector is needed")
	}
	for i := range c.Connectors {
		c.Connectors[i].check(p, func(field string) string { return key(i, field) })
	}
	c.checkUnique(p, key)
}

func (c Connector) check(p *problems, key func(field string) string) {
	switch {
	case c.Name == "":
		p.add(key("name"), "is missing; it is part of the path that Braze posts to, /currents/NAME")
	case !connectorName.MatchString(c.Name):
		p.add(key("name"), "must be 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first, not %q", c.Name)
	}
	c.checkTokens(p, key)
	checkURL(p, key("rudder_url"), c.RudderURL)
	switch {
	case c.WriteKey == "":
		p.add(key("write_key"), "is missing; it is the write key of the source in RudderStack")
	case strings.ContainsFunc(c.WriteKey, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }):
		p.add(key("write_key"), "has a character that a write key cannot have")
	}
	oneWord(p, key("mode"), c.Mode, Events, Webhook)
	oneWord(p, key("missing_external_user_id"), c.MissingExternalUserID, Deliver, Dead, Drop)
	between(p, key("dedupe_window"), c.DedupeWindow, 0, 100_000_000, strconv.Itoa)
	between(p, key("concurrency"), c.Concurrency, 1, 256, strconv.Itoa)
	between(p, key("batch_events"), c.BatchEvents, 1, 100_000, strconv.Itoa)
	if c.MaxBody != 0 {
		between(p, key("max_body"), c.MaxBody, 1<<10, 64<<20, formatSize)
	}
	between(p, key("timeout"), c.Timeout, time.Millisecond, time.Hour, time.Duration.String)
	between(p, key("backoff.min"), c.Backoff.Min, time.Millisecond, time.Hour, time.Duration.String)
	between(p, key("backoff.max"), c.Backoff.Max, c.Backoff.Min, time.Hour, time.Duration.String)
}

var connectorName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// bearerToken is RFC 6750's b68token, what Braze and HTTP can carry.
var bearerToken = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

func (c Connector) checkTokens(p *problems, key func(field string) string) {
	if len(c.Tokens) == 0 {
		if !c.Open && !p.bad[key("open")] && !p.bad[key("tokens")] {
			p.add(key("token"), "is missing: set the token that Braze sends, or write open: true to take events from anyone")
		}
		return
	}
	if c.Open {
		p.add(key("open"), "is true, but there is a token; leave out one of them")
	}
	for i, token := range c.Tokens {
		at := c.tokenKey(i, key)
		switch {
		case token == "":
			p.add(at, "is empty")
		case !bearerToken.MatchString(token):
			p.add(at, "has a character that a bearer token cannot have (RFC 6750: letters, digits, - . _ ~ + / and = at the end)")
		case slices.Contains(c.Tokens[:i], token):
			p.add(at, "is written twice")
		}
	}
}

// tokenKey names the key that holds the i-th token.
func (c Connector) tokenKey(i int, key func(field string) string) string {
	if len(c.Tokens) == 1 {
		return key("token")
	}
	return indexed(key("tokens"), i)
}

// checkUnique refuses what would make two connectors one.
func (c Config) checkUnique(p *problems, key keyFunc) {
	names, owners := map[string]int{}, map[string]int{}
	for i, connector := range c.Connectors {
		if first, taken := names[connector.Name]; taken && connector.Name != "" {
			p.add(key(i, "name"), "%q is also the name of connectors[%d]", connector.Name, first)
		} else {
			names[connector.Name] = i
		}
		for j, token := range connector.Tokens {
			if first, taken := owners[token]; taken && first != i && token != "" {
				at := connector.tokenKey(j, func(field string) string { return key(i, field) })
				p.add(at, "is also a token of connectors[%d]; each connector needs its own", first)
				continue
			}
			owners[token] = i
		}
	}
}

func checkAddress(p *problems, key, address string) {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		p.add(key, "must be an address such as 127.0.0.1:8080, not %q", address)
	}
}

// checkURL never prints the URL: people paste write keys and passwords into it.
func checkURL(p *problems, key, text string) {
	const example = "such as https://example.dataplane.rudderstack.com"
	if text == "" {
		p.add(key, "is missing; it is the URL of RudderStack's data plane, %s", example)
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		p.add(key, "must be an http or https URL, %s", example)
	case u.User != nil:
		p.add(key, "must have no user or password in it; the write key goes into write_key")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		p.add(key, "must have no query or fragment; the write key goes into write_key")
	case slices.Contains(strings.Split(u.Path, "/"), "v1"):
		p.add(key, "must be the data plane's URL without /v1/…, %s", example)
	}
}

func oneWord[T ~string](p *problems, key string, value T, words ...T) {
	if !slices.Contains(words, value) {
		p.add(key, "must be %s, not %q", oneOf(words), string(value))
	}
}

func atLeast(p *problems, key string, value, low int64) {
	if value < low {
		p.add(key, "must be at least %s", formatSize(low))
	}
}

func between[T int | int64 | time.Duration](p *problems, key string, value, low, high T, format func(T) string) {
	if value < low || value > high {
		p.add(key, "must be between %s and %s, not %s", format(low), format(high), format(value))
	}
}

func indexed(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }
