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
	m.check(c)
	return m.err()
}

// check looks at values, whether they were read or made by hand.
func (m *mistakes) check(cfg Config) {
	m.bounds(cfg, "")
	m.address("listen", cfg.Listen)
	m.address("admin", cfg.Admin)
	if cfg.Listen == cfg.Admin && !strings.HasSuffix(cfg.Listen, ":0") {
		m.add("admin", "must be another address than listen: the operator's pages are not for Braze")
	}
	m.tls(cfg.TLS)
	if cfg.AdminToken != "" && !bearerToken.MatchString(cfg.AdminToken) {
		m.add("admin_token", badToken)
	}
	if _, err := hostguard.New("admin_hosts", cfg.AdminNames()...); err != nil {
		m.add("admin_hosts", "%s", strings.TrimPrefix(err.Error(), "admin_hosts: "))
	}
	if strings.TrimSpace(cfg.DataDir) == "" {
		m.add("data_dir", "is empty; it must be the directory that keeps the events")
	}
	m.queue(cfg.Queue, "queue.")
	if cfg.Glossary != "" {
		if _, err := schemas.LoadFile(cfg.Glossary); err != nil {
			m.add("glossary", "%v", err)
		}
	}
	if len(cfg.Connectors) == 0 {
		m.add("connectors", "is empty; at least one connector is needed")
	}
	for i, connector := range cfg.Connectors {
		m.connector(connector, listKey(i, ""))
	}
	m.unique(cfg.Connectors)
}

// bounds checks what the tags of the fields say.
func (m *mistakes) bounds(v any, prefix string) {
	for _, l := range leaves(reflect.ValueOf(v)) {
		at, text := prefix+l.path, fmt.Sprint(l.value.Interface())
		if words := strings.Split(l.Get("oneof"), "|"); words[0] != "" && !slices.Contains(words, text) {
			m.add(at, "must be %s, not %q", oneOf(words), text)
		}
		low, high, zero := l.Get("min"), l.Get("max"), l.Get("zero")
		if low == "" || zero != "" && l.value.IsZero() {
			continue
		}
		if n := number(l.value); n >= l.bound(low) && n <= l.bound(high) {
			continue
		}
		if zero != "" {
			zero = ", or 0, which is " + zero
		}
		m.add(at, "must be between %s and %s%s, not %s", low, high, zero, write(l.value))
	}
}

// bound is a bound of a setting as a number.
func (l leaf) bound(text string) float64 {
	v := reflect.New(l.value.Type()).Elem()
	mustParse(v, text)
	return number(v)
}

func number(v reflect.Value) float64 {
	if v.CanInt() {
		return float64(v.Int())
	}
	return v.Float()
}

// tls loads the certificate, as the bridge would.
func (m *mistakes) tls(t TLS) {
	switch {
	case t == TLS{}:
	case t.Cert == "":
		m.add("tls.key", "needs tls.cert, the PEM file of the certificate that it belongs to")
	case t.Key == "":
		m.add("tls.cert", "needs tls.key, the PEM file of the key that belongs to it")
	default:
		if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
			m.add("tls.cert", "the certificate and tls.key cannot be used: %v", err)
		}
	}
}

func (m *mistakes) address(key, address string) {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		m.add(key, "must be an address such as 127.0.0.1:8080, not %q", address)
	}
}

// queue never prints the URL of PostgreSQL: people write passwords into it.
func (m *mistakes) queue(q Queue, prefix string) {
	if q.URL == SQLite {
		if q.Password != "" {
			m.add(prefix+"password", "is for a queue on PostgreSQL; leave it out, or set the queue to postgres://…")
		}
		return
	}
	scheme, rest, _ := strings.Cut(q.URL, "://")
	if scheme != "postgres" && scheme != "postgresql" {
		m.add(prefix+"url", "must be sqlite or postgres://USER@HOST:PORT/DB")
		return
	}
	authority, parameters, _ := strings.Cut(rest, "?")
	userinfo, _, _ := strings.Cut(authority, "@")
	query, err := url.ParseQuery(parameters)
	switch {
	case strings.Contains(userinfo, ":") && strings.Contains(authority, "@") || query.Has("password"):
		m.add(prefix+"url", "must have no password in it; it goes into password_file, or PGPASSWORD or PGPASSFILE in the environment")
		return
	case err != nil:
		m.add(prefix+"url", "has parameters behind its ? that are not NAME=VALUE&NAME=VALUE")
		return
	}
	if _, err := pgconn.ParseConfig(q.URL); err != nil {
		// Its text begins with the whole URL.
		text := err.Error()
		if at := strings.LastIndex(text, "`: "); at >= 0 {
			text = text[at+len("`: "):]
		}
		m.add(prefix+"url", "is no URL of PostgreSQL: %s", text)
	}
}

func (m *mistakes) connector(v Connector, prefix string) {
	m.bounds(v, prefix)
	switch {
	case v.Name == "":
		m.add(prefix+"name", "is missing; it is part of the path that Braze posts to, /currents/NAME")
	case !connectorName.MatchString(v.Name):
		m.add(prefix+"name", "must be 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first, not %q", v.Name)
	}
	m.tokens(v, prefix)
	m.dataPlane(prefix+"rudder_url", v.RudderURL)
	switch {
	case v.WriteKey == "":
		m.add(prefix+"write_key", "is missing; it is the write key of the source in RudderStack")
	case strings.ContainsFunc(v.WriteKey, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }):
		m.add(prefix+"write_key", "has a character that a write key cannot have")
	}
	m.mapping(v, prefix)
	if _, _, err := v.RootCAs(); err != nil {
		m.add(prefix+"ca_file", "%v", err)
	}
	if v.Backoff.Max < v.Backoff.Min {
		m.add(prefix+"backoff.max", "must be at least backoff.min, %s, not %s",
			write(reflect.ValueOf(v.Backoff.Min)), write(reflect.ValueOf(v.Backoff.Max)))
	}
	if v.Queue != nil {
		m.bounds(*v.Queue, prefix+"queue.")
		m.queue(*v.Queue, prefix+"queue.")
	}
}

var connectorName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// bearerToken is RFC 6750's b68token, what Braze and HTTP can carry.
var bearerToken = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

const badToken = "has a character that a bearer token cannot have (RFC 6750: letters, digits, - . _ ~ + / and = at the end)"

func (m *mistakes) tokens(v Connector, prefix string) {
	if len(v.Tokens) == 0 {
		keys := []string{"open", "token", "tokens", "token_file", "token_files"}
		if !v.Open && !slices.ContainsFunc(keys, func(key string) bool { return m.bad[prefix+key] }) {
			m.add(prefix+"token", "is missing: set the token that Braze sends, or write open: true to take events from anyone")
		}
		return
	}
	if v.Open {
		m.add(prefix+"open", "is true, but there is a token; leave out one of them")
	}
	for i, token := range v.Tokens {
		at := tokenKey(len(v.Tokens), i, prefix+"token")
		switch {
		case token == "":
			m.add(at, "is empty")
		case !bearerToken.MatchString(token):
			m.add(at, badToken)
		case slices.Contains(v.Tokens[:i], token):
			m.add(at, "is written twice")
		}
	}
}

// unique refuses what would make two connectors one.
func (m *mistakes) unique(connectors []Connector) {
	names, owners := map[string]int{}, map[string]int{}
	for i, v := range connectors {
		if first, taken := names[v.Name]; taken && v.Name != "" {
			m.add(listKey(i, "name"), "%q is also the name of connectors[%d]", v.Name, first)
		} else {
			names[v.Name] = i
		}
		for j, token := range v.Tokens {
			if first, taken := owners[token]; taken && first != i && token != "" {
				m.add(tokenKey(len(v.Tokens), j, listKey(i, "token")), "is also a token of connectors[%d]; each connector needs its own", first)
				continue
			}
			owners[token] = i
		}
	}
}

// dataPlane never prints the URL: people paste write keys and passwords into it.
func (m *mistakes) dataPlane(key, text string) {
	const example = "such as https://example.dataplane.rudderstack.com"
	if text == "" {
		m.add(key, "is missing; it is the URL of RudderStack's data plane, %s", example)
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		m.add(key, "must be an http or https URL, %s", example)
	case u.User != nil:
		m.add(key, "must have no user or password in it; the write key goes into write_key")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		m.add(key, "must have no query or fragment; the write key goes into write_key")
	case slices.Contains(strings.Split(u.Path, "/"), "v1"):
		m.add(key, "must be the data plane's URL without /v1/…, %s", example)
	}
}

// mapping has the mapper look at its options. What rewrites messages is refused
// in webhook mode: RudderStack's own mapping makes the messages there.
func (m *mistakes) mapping(v Connector, prefix string) {
	opts := v.Mapping()
	if opts.Webhook {
		const why = "changes messages, and in mode webhook RudderStack makes them; leave it out, or set mode: events"
		for field, set := range map[string]bool{
			"names": opts.Names.Readable || len(opts.Names.Map) > 0, "profile_updates": opts.Identify, "user_orphan": opts.Alias,
		} {
			if set {
				m.add(prefix+field, why)
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
			m.add(prefix+keyOfOption(option.Option), "%s", option.Text)
		} else if err != nil {
			m.add(prefix+"filter", "%v", err)
		}
	}
}

// keyOfOption names the key that an option of the mapping is read from.
func keyOfOption(option string) string {
	for _, prefix := range [][2]string{{"personal.salt", "salt"}, {"names.map.", "names."}, {"personal", "pii"}} {
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
