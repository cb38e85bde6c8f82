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

func (m *mistakes) refuse(wrong bool, key, format string, args ...any) {
	if wrong {
		m.add(key, format, args...)
	}
}

// check looks at values, whether they were read or made by hand. Of what is wrong with a
// key only the first counts.
func (m *mistakes) check(cfg Config) {
	m.bounds(cfg, "")
	for _, a := range []struct{ key, address string }{{"listen", cfg.Listen}, {"admin", cfg.Admin}} {
		_, port, err := net.SplitHostPort(a.address)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		m.refuse(err != nil, a.key, "must be an address such as 127.0.0.1:8080, not %q", a.address)
	}
	m.refuse(cfg.Listen == cfg.Admin && !strings.HasSuffix(cfg.Listen, ":0"), "admin", "must be another address than listen: the operator's pages are not for Braze")
	m.refuse(cfg.TLS.Cert == "" && cfg.TLS.Key != "", "tls.key", "needs tls.cert, the PEM file of the certificate that it belongs to")
	m.refuse(cfg.TLS.Cert != "" && cfg.TLS.Key == "", "tls.cert", "needs tls.key, the PEM file of the key that belongs to it")
	if cfg.TLS.Cert != "" {
		_, err := tls.LoadX509KeyPair(cfg.TLS.Cert, cfg.TLS.Key)
		m.refuse(err != nil, "tls.cert", "the certificate and tls.key cannot be used: %v", err)
	}
	m.refuse(cfg.AdminToken != "" && !bearerToken.MatchString(cfg.AdminToken), "admin_token", badToken)
	_, err := hostguard.New("admin_hosts", cfg.AdminNames()...)
	m.refuse(err != nil, "admin_hosts", "%s", strings.TrimPrefix(fmt.Sprint(err), "admin_hosts: "))
	m.refuse(strings.TrimSpace(cfg.DataDir) == "", "data_dir", "is empty; it must be the directory that keeps the events")
	m.queue(cfg.Queue, "queue.")
	if cfg.Glossary != "" {
		_, err := schemas.LoadFile(cfg.Glossary)
		m.refuse(err != nil, "glossary", "%v", err)
	}
	m.refuse(len(cfg.Connectors) == 0, "connectors", "is empty; at least one connector is needed")
	for i, connector := range cfg.Connectors {
		m.connector(connector, listKey(i, ""))
	}
	m.unique(cfg.Connectors)
}

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

// queue never prints the URL of PostgreSQL: people write passwords into it.
func (m *mistakes) queue(q Queue, prefix string) {
	if q.URL == SQLite {
		m.refuse(q.Password != "", prefix+"password", "is for a queue on PostgreSQL; leave it out, or set the queue to postgres://…")
		return
	}
	key := prefix + "url"
	scheme, rest, _ := strings.Cut(q.URL, "://")
	m.refuse(scheme != "postgres" && scheme != "postgresql", key, "must be sqlite or postgres://USER@HOST:PORT/DB")
	authority, parameters, _ := strings.Cut(rest, "?")
	userinfo, _, at := strings.Cut(authority, "@")
	query, err := url.ParseQuery(parameters)
	m.refuse(at && strings.Contains(userinfo, ":") || query.Has("password"), key,
		"must have no password in it; it goes into password_file, or PGPASSWORD or PGPASSFILE in the environment")
	m.refuse(err != nil, key, "has parameters behind its ? that are not NAME=VALUE&NAME=VALUE")
	if _, err := pgconn.ParseConfig(q.URL); err != nil {
		text := err.Error() // it begins with the whole URL
		if at := strings.LastIndex(text, "`: "); at >= 0 {
			text = text[at+len("`: "):]
		}
		m.add(key, "is no URL of PostgreSQL: %s", text)
	}
}

func (m *mistakes) connector(v Connector, prefix string) {
	m.bounds(v, prefix)
	m.refuse(v.Name == "", prefix+"name", "is missing; it is part of the path that Braze posts to, /currents/NAME")
	m.refuse(!connectorName.MatchString(v.Name), prefix+"name",
		"must be 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first, not %q", v.Name)
	m.tokens(v, prefix)
	m.dataPlane(prefix+"rudder_url", v.RudderURL)
	m.refuse(v.WriteKey == "", prefix+"write_key", "is missing; it is the write key of the source in RudderStack")
	m.refuse(strings.ContainsFunc(v.WriteKey, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }), prefix+"write_key",
		"has a character that a write key cannot have")
	m.mapping(v, prefix)
	_, _, err := v.RootCAs()
	m.refuse(err != nil, prefix+"ca_file", "%v", err)
	m.refuse(v.Backoff.Max < v.Backoff.Min, prefix+"backoff.max", "must be at least backoff.min, %s, not %s",
		write(reflect.ValueOf(v.Backoff.Min)), write(reflect.ValueOf(v.Backoff.Max)))
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
	keys := []string{"open", "token", "tokens", "token_file", "token_files"}
	found := slices.ContainsFunc(keys, func(key string) bool { return m.bad[prefix+key] })
	m.refuse(len(v.Tokens) == 0 && !v.Open && !found, prefix+"token",
		"is missing: set the token that Braze sends, or write open: true to take events from anyone")
	m.refuse(len(v.Tokens) > 0 && v.Open, prefix+"open", "is true, but there is a token; leave out one of them")
	for i, token := range v.Tokens {
		at := tokenKey(len(v.Tokens), i, prefix+"token")
		m.refuse(token == "", at, "is empty")
		m.refuse(!bearerToken.MatchString(token), at, badToken)
		m.refuse(slices.Contains(v.Tokens[:i], token), at, "is written twice")
	}
}

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
	m.refuse(text == "", key, "is missing; it is the URL of RudderStack's data plane, %s", example)
	u, err := url.Parse(text)
	if err != nil {
		u = &url.URL{}
	}
	m.refuse(u.Opaque != "" || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "", key, "must be an http or https URL, %s", example)
	m.refuse(u.User != nil, key, "must have no user or password in it; the write key goes into write_key")
	m.refuse(u.RawQuery != "" || u.ForceQuery || u.Fragment != "", key, "must have no query or fragment; the write key goes into write_key")
	m.refuse(slices.Contains(strings.Split(u.Path, "/"), "v1"), key, "must be the data plane's URL without /v1/…, %s", example)
}

// mapping has the mapper look at its options. What rewrites messages is refused
// in webhook mode: RudderStack's own mapping makes the messages there.
func (m *mistakes) mapping(v Connector, prefix string) {
	opts := v.Mapping()
	const why = "changes messages, and in mode webhook RudderStack makes them; leave it out, or set mode: events"
	m.refuse(opts.Webhook && (opts.Names.Readable || len(opts.Names.Map) > 0), prefix+"names", why)
	m.refuse(opts.Webhook && opts.Identify, prefix+"profile_updates", why)
	m.refuse(opts.Webhook && opts.Alias, prefix+"user_orphan", why)
	if opts.Webhook {
		opts.Names = mapping.Names{}
	}
	_, err := mapping.New(opts)
	if wrong, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range wrong.Unwrap() {
			if option, ok := errors.AsType[*mapping.OptionError](err); ok {
				m.add(prefix+keyOfOption(option.Option), "%s", option.Text)
			}
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
