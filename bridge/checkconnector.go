package bridge

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
)

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
	c.checkMapping(p, key)
	if c.RequestsPerSecond < 0 || c.RequestsPerSecond > 100_000 {
		p.add(key("requests_per_second"), "must be between 0, which is no limit, and 100000")
	}
	oneWord(p, key("gzip"), c.Gzip, delivery.GzipAuto, delivery.GzipOff)
	if _, _, err := c.rootCAs(); err != nil {
		p.add(key("ca_file"), "%v", err)
	}
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

const badToken = "has a character that a bearer token cannot have (RFC 6750: letters, digits, - . _ ~ + / and = at the end)"

func (c Connector) checkTokens(p *problems, key func(field string) string) {
	if len(c.Tokens) == 0 {
		if !c.Open && !p.anyBad(key("open"), key("token"), key("tokens"), key("token_file"), key("token_files")) {
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
			p.add(at, badToken)
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

// checkMapping has the mapper look at its options.
func (c Connector) checkMapping(p *problems, key func(field string) string) {
	if c.Mode == Webhook {
		const why = "changes messages, and in mode webhook RudderStack makes them; leave it out, or set mode: events"
		if c.Names.Readable || len(c.Names.Map) > 0 {
			p.add(key("names"), why)
		}
		if c.Identify {
			p.add(key("profile_updates"), why)
		}
		if c.Alias {
			p.add(key("user_orphan"), why)
		}
		c.Names, c.Identify, c.Alias = mapping.Names{}, false, false
	}
	_, err := mapping.New(c.mapping())
	for _, wrong := range optionErrors(err) {
		p.add(key(keyOfOption(wrong.Option)), "%s", wrong.Text)
	}
}

// optionErrors takes apart what mapping.New says.
func optionErrors(err error) []*mapping.OptionError {
	if one := (*mapping.OptionError)(nil); errors.As(err, &one) {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			var all []*mapping.OptionError
			for _, part := range joined.Unwrap() {
				all = append(all, optionErrors(part)...)
			}
			return all
		}
		return []*mapping.OptionError{one}
	}
	if err != nil { // whatever it is, it must not pass
		return []*mapping.OptionError{{Option: "filter", Text: err.Error()}}
	}
	return nil
}

// keyOfOption names the key that an option of the mapping is read from.
func keyOfOption(option string) string {
	name, rest, _ := strings.Cut(option, ".")
	switch name {
	case "identify":
		return "profile_updates"
	case "alias":
		return "user_orphan"
	case "names":
		return strings.TrimRight("names."+strings.TrimPrefix(rest, "map."), ".")
	case "personal":
		if rest == "salt" {
			return rest
		}
		return strings.TrimRight("pii."+rest, ".")
	}
	return option
}

// mapping returns what the connector's mapper is told.
func (c Connector) mapping() mapping.Options {
	return mapping.Options{
		Webhook: c.Mode == Webhook, Names: c.Names, Filter: c.Filter, Personal: c.Personal,
		Identify: c.Identify, Alias: c.Alias,
	}
}

// rootCAs reads CAFile. A nil pool stands for the system's certificates.
func (c Connector) rootCAs() (text []byte, pool *x509.CertPool, err error) {
	return certificatesOf(c.CAFile)
}

// certificatesOf reads a PEM file of certificates; of no file the pool is nil.
func certificatesOf(file string) (text []byte, pool *x509.CertPool, err error) {
	if file == "" {
		return nil, nil, nil
	}
	if text, err = os.ReadFile(file); err != nil {
		return nil, nil, err
	}
	pool = x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return text, pool, nil
}
