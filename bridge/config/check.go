package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/internal/hostguard"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// Check looks at everything in c, and at the files that it names. Where something
// is wrong the error is an *Error with every mistake.
func (c Config) Check() error {
	m := newMistakes()
	check := checker{mistakes: m, key: listKey}
	check.config(c)
	return m.err()
}

// checker looks at values, whether they were read or made by hand.
type checker struct {
	*mistakes
	key keyFunc
}

func (c *checker) config(cfg Config) {
	c.bounds(reflect.ValueOf(cfg), func(key string) string { return key })
	c.address("listen", cfg.Listen)
	c.address("admin", cfg.Admin)
	if cfg.Listen == cfg.Admin && !strings.HasSuffix(cfg.Listen, ":0") {
		c.add("admin", "must be another address than listen: the operator's pages are not for Braze")
	}
	c.tls(cfg.TLS)
	if cfg.AdminToken != "" && !bearerToken.MatchString(cfg.AdminToken) {
		c.add("admin_token", badToken)
	}
	if _, err := hostguard.New("admin_hosts", cfg.AdminNames()...); err != nil {
		c.add("admin_hosts", "%s", strings.TrimPrefix(err.Error(), "admin_hosts: "))
	}
	if strings.TrimSpace(cfg.DataDir) == "" {
		c.add("data_dir", "is empty; it must be the directory that keeps the events")
	}
	c.queue(cfg.Queue, func(key string) string { return "queue." + key })
	if cfg.Glossary != "" {
		if _, err := schemas.LoadFile(cfg.Glossary); err != nil {
			c.add("glossary", "%v", err)
		}
	}
	if len(cfg.Connectors) == 0 {
		c.add("connectors", "is empty; at least one connector is needed")
	}
	for i, connector := range cfg.Connectors {
		c.connector(connector, func(field string) string { return c.key(i, field) })
	}
	c.unique(cfg.Connectors)
}

// bounds checks what the tags of the fields say.
func (c *checker) bounds(v reflect.Value, key func(string) string) {
	for _, f := range fieldsOf(v.Type()) {
		value, at := v.Field(f.index), key(f.key)
		if value.Kind() == reflect.Struct {
			c.bounds(value, func(inner string) string { return key(f.key + "." + inner) })
			continue
		}
		if words := f.get("oneof"); words != "" && !slices.Contains(strings.Split(words, "|"), fmt.Sprint(value.Interface())) {
			c.add(at, "must be %s, not %q", oneOf(strings.Split(words, "|")), fmt.Sprint(value.Interface()))
		}
		zero := f.get("zero")
		if f.get("min") == "" || zero != "" && value.IsZero() || within(value, f.get("min"), f.get("max")) {
			continue
		}
		if zero != "" {
			zero = ", or 0, which is " + zero
		}
		c.add(at, "must be between %s and %s%s, not %s", f.get("min"), f.get("max"), zero, write(value))
	}
}

// within tells whether a number is between two that are written as text.
func within(value reflect.Value, low, high string) bool {
	bound := func(text string) reflect.Value {
		v := reflect.New(value.Type()).Elem()
		mustParse(v, text)
		return v
	}
	if value.Kind() == reflect.Float64 {
		return value.Float() >= bound(low).Float() && value.Float() <= bound(high).Float()
	}
	return value.Int() >= bound(low).Int() && value.Int() <= bound(high).Int()
}

// tls loads the certificate, as the bridge would.
func (c *checker) tls(t TLS) {
	switch {
	case t == TLS{}:
	case t.Cert == "":
		c.add("tls.key", "needs tls.cert, the PEM file of the certificate that it belongs to")
	case t.Key == "":
		c.add("tls.cert", "needs tls.key, the PEM file of the key that belongs to it")
	default:
		if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
			c.add("tls.cert", "the certificate and tls.key cannot be used: %v", err)
		}
	}
}

func (c *checker) address(key, address string) {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		c.add(key, "must be an address such as 127.0.0.1:8080, not %q", address)
	}
}

// queue never prints the URL of PostgreSQL: people write passwords into it.
func (c *checker) queue(q Queue, key func(string) string) {
	if q.URL == SQLite {
		if q.Password != "" {
			c.add(key("password"), "is for a queue on PostgreSQL; leave it out, or set the queue to postgres://…")
		}
		return
	}
	scheme, rest, _ := strings.Cut(q.URL, "://")
	if scheme != "postgres" && scheme != "postgresql" {
		c.add(key("url"), "must be sqlite or postgres://USER@HOST:PORT/DB")
		return
	}
	authority, parameters, _ := strings.Cut(rest, "?")
	userinfo, _, _ := strings.Cut(authority, "@")
	query, err := url.ParseQuery(parameters)
	switch {
	case strings.Contains(userinfo, ":") && strings.Contains(authority, "@") || query.Has("password"):
		c.add(key("url"), "must have no password in it; it goes into password_file, or PGPASSWORD or PGPASSFILE in the environment")
		return
	case err != nil:
		c.add(key("url"), "has parameters behind its ? that are not NAME=VALUE&NAME=VALUE")
		return
	}
	if _, err := pgconn.ParseConfig(q.URL); err != nil {
		// Its text begins with the whole URL.
		text := err.Error()
		if at := strings.LastIndex(text, "`: "); at >= 0 {
			text = text[at+len("`: "):]
		}
		c.add(key("url"), "is no URL of PostgreSQL: %s", text)
	}
}

func (c *checker) connector(v Connector, key func(field string) string) {
	c.bounds(reflect.ValueOf(v), key)
	switch {
	case v.Name == "":
		c.add(key("name"), "is missing; it is part of the path that Braze posts to, /currents/NAME")
	case !connectorName.MatchString(v.Name):
		c.add(key("name"), "must be 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first, not %q", v.Name)
	}
	c.tokens(v, key)
	c.dataPlane(key("rudder_url"), v.RudderURL)
	switch {
	case v.WriteKey == "":
		c.add(key("write_key"), "is missing; it is the write key of the source in RudderStack")
	case strings.ContainsFunc(v.WriteKey, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }):
		c.add(key("write_key"), "has a character that a write key cannot have")
	}
	c.mapping(v, key)
	if _, _, err := v.RootCAs(); err != nil {
		c.add(key("ca_file"), "%v", err)
	}
	if v.Backoff.Max < v.Backoff.Min {
		c.add(key("backoff.max"), "must be at least backoff.min, %s, not %s",
			write(reflect.ValueOf(v.Backoff.Min)), write(reflect.ValueOf(v.Backoff.Max)))
	}
	if v.Queue != nil {
		at := func(inner string) string { return key("queue." + inner) }
		c.bounds(reflect.ValueOf(*v.Queue), at)
		c.queue(*v.Queue, at)
	}
}

var connectorName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// bearerToken is RFC 6750's b68token, what Braze and HTTP can carry.
var bearerToken = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

const badToken = "has a character that a bearer token cannot have (RFC 6750: letters, digits, - . _ ~ + / and = at the end)"

func (c *checker) tokens(v Connector, key func(field string) string) {
	if len(v.Tokens) == 0 {
		keys := []string{key("open"), key("token"), key("tokens"), key("token_file"), key("token_files")}
		if !v.Open && !slices.ContainsFunc(keys, func(key string) bool { return c.bad[key] }) {
			c.add(key("token"), "is missing: set the token that Braze sends, or write open: true to take events from anyone")
		}
		return
	}
	if v.Open {
		c.add(key("open"), "is true, but there is a token; leave out one of them")
	}
	for i, token := range v.Tokens {
		at := tokenKey(len(v.Tokens), i, key("token"), key("tokens"))
		switch {
		case token == "":
			c.add(at, "is empty")
		case !bearerToken.MatchString(token):
			c.add(at, badToken)
		case slices.Contains(v.Tokens[:i], token):
			c.add(at, "is written twice")
		}
	}
}

// unique refuses what would make two connectors one.
func (c *checker) unique(connectors []Connector) {
	names, owners := map[string]int{}, map[string]int{}
	for i, v := range connectors {
		if first, taken := names[v.Name]; taken && v.Name != "" {
			c.add(c.key(i, "name"), "%q is also the name of connectors[%d]", v.Name, first)
		} else {
			names[v.Name] = i
		}
		for j, token := range v.Tokens {
			if first, taken := owners[token]; taken && first != i && token != "" {
				at := tokenKey(len(v.Tokens), j, c.key(i, "token"), c.key(i, "tokens"))
				c.add(at, "is also a token of connectors[%d]; each connector needs its own", first)
				continue
			}
			owners[token] = i
		}
	}
}

// dataPlane never prints the URL: people paste write keys and passwords into it.
func (c *checker) dataPlane(key, text string) {
	const example = "such as https://example.dataplane.rudderstack.com"
	if text == "" {
		c.add(key, "is missing; it is the URL of RudderStack's data plane, %s", example)
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		c.add(key, "must be an http or https URL, %s", example)
	case u.User != nil:
		c.add(key, "must have no user or password in it; the write key goes into write_key")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		c.add(key, "must have no query or fragment; the write key goes into write_key")
	case slices.Contains(strings.Split(u.Path, "/"), "v1"):
		c.add(key, "must be the data plane's URL without /v1/…, %s", example)
	}
}

// mapping has the mapper look at its options. What rewrites messages is refused
// in webhook mode: RudderStack's own mapping makes the messages there.
func (c *checker) mapping(v Connector, key func(field string) string) {
	opts := v.Mapping()
	if opts.Webhook {
		const why = "changes messages, and in mode webhook RudderStack makes them; leave it out, or set mode: events"
		for field, set := range map[string]bool{
			"names": opts.Names.Readable || len(opts.Names.Map) > 0, "profile_updates": opts.Identify, "user_orphan": opts.Alias,
		} {
			if set {
				c.add(key(field), why)
			}
		}
		opts.Names = mapping.Names{}
	}
	_, err := mapping.New(opts)
	wrong := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		wrong = joined.Unwrap()
	}
	for _, err := range wrong {
		if option := (*mapping.OptionError)(nil); errors.As(err, &option) {
			c.add(key(keyOfOption(option.Option)), "%s", option.Text)
		} else if err != nil {
			c.add(key("filter"), "%v", err)
		}
	}
}

// keyOfOption names the key that an option of the mapping is read from.
func keyOfOption(option string) string {
	if option == "personal.salt" {
		return "salt"
	}
	for _, prefix := range [][2]string{{"names.map.", "names."}, {"personal", "pii"}} {
		if rest, ok := strings.CutPrefix(option, prefix[0]); ok {
			return prefix[1] + rest
		}
	}
	return option
}

// RootCAs reads CAFile. A nil pool stands for the system's certificates.
func (c Connector) RootCAs() (text []byte, pool *x509.CertPool, err error) {
	if c.CAFile == "" {
		return nil, nil, nil
	}
	if text, err = os.ReadFile(c.CAFile); err != nil {
		return nil, nil, err
	}
	pool = x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, nil, fmt.Errorf("%s holds no certificate in PEM", c.CAFile)
	}
	return text, pool, nil
}
