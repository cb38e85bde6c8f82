package bridge

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nkeys"
)

// Queue says where batches are kept until they are delivered.
type Queue struct {
	// Store is "pebble", the embedded store, or the servers of a NATS cluster:
	// nats://HOST:PORT or tls://HOST:PORT, several with commas between them. A
	// scheme holds for the servers behind it too, and the port may be left out
	// where it is 4222.
	Store string
	// MaxSize is how many bytes it may take: all of the embedded store; on NATS,
	// what is pending of each connector. 0: as much as there is.
	MaxSize int64
	NATS    NATS // zero where Store is pebble
}

// NATS says how a queue on a NATS cluster is reached and kept. Only one of
// Credentials, User and Token may be set; none is for a server that asks for
// nothing.
type NATS struct {
	Credentials    string // file made by nsc: a JWT and the key that goes with it
	User, Password string
	Token          string
	TLS            ClientTLS
	// Prefix begins the names of streams and subjects: letters, digits, dashes
	// and underscores, at most 32, no underscore at the end. Bridges with the same one share their queues.
	// Empty: jetstream's default.
	Prefix string
	// Replicas is how many servers keep each stream, 1 to 5; 0: three in a
	// cluster, one on a server that stands alone.
	Replicas int
	// Repeats is how long the servers remember a batch, to store it once where
	// Braze brings it to two bridges; 0: two minutes.
	Repeats time.Duration
	// AckWait is the time after which another bridge takes over what a dead one
	// held; 0: jetstream's default.
	AckWait time.Duration
}

// ClientTLS names the PEM files for TLS towards NATS.
type ClientTLS struct {
	CA         string // certificates that the servers' are verified with; empty: the system's
	Cert, Key  string // what the bridge shows; empty: nothing
	ServerName string // in the servers' certificates; empty: the host that is connected to
}

// OnNATS tells whether the queue is on a NATS cluster.
func (q Queue) OnNATS() bool {
	return strings.HasPrefix(q.Store, "nats://") || strings.HasPrefix(q.Store, "tls://")
}

// natsPort is where a NATS server listens unless it is told otherwise.
const natsPort = "4222"

// servers takes Store apart into one URL for each server. Its errors never show
// the text: people paste passwords into it.
func (q Queue) servers() ([]string, error) {
	scheme, rest, _ := strings.Cut(q.Store, "://")
	if !q.OnNATS() {
		return nil, errors.New("must be pebble, or nats://HOST:PORT or tls://HOST:PORT with commas between several servers")
	}
	if strings.Contains(q.Store, "@") {
		return nil, errors.New("must have no user, password or token in it; they go into queue.user and queue.password_file, or queue.token_file")
	}
	var out []string
	for part := range strings.SplitSeq(rest, ",") {
		part = strings.TrimSpace(part)
		if other, host, full := strings.Cut(part, "://"); full {
			if other != scheme {
				return nil, errors.New("must have the same scheme for all servers, nats:// or tls://")
			}
			part = host
		}
		u, err := url.Parse(scheme + "://" + part)
		if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
			return nil, errors.New("must name each server as HOST:PORT, such as nats://nats-1:4222,nats-2:4222")
		}
		if port := u.Port(); port == "" {
			u.Host = strings.TrimSuffix(u.Host, ":") + ":" + natsPort
		} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return nil, errors.New("has a port that is not a number from 0 to 65535")
		}
		out = append(out, scheme+"://"+u.Host)
	}
	return out, nil
}

// streamPrefix is what the names of streams and subjects may begin with: a dot
// or a space would be more than a name to NATS, and a _ at the end could make it
// another prefix's.
var streamPrefix = regexp.MustCompile(`^[A-Za-z0-9_-]{0,31}[A-Za-z0-9-]$`)

func (q Queue) check(p *problems) {
	zeroOr(p, "queue.max_size", q.MaxSize, minStore, math.MaxInt64, formatSize, "all there is")
	if q.Store == storePebble {
		for _, s := range q.NATS.settings() {
			if s.set {
				p.add("queue."+s.key, "is for a queue on NATS, and queue is pebble; leave it out, or set queue.store to nats://HOST:PORT")
			}
		}
		return
	}
	if _, err := q.servers(); err != nil {
		p.add("queue", "%v", err)
		return
	}
	q.NATS.check(p)
}

// natsSetting is a key of NATS and whether it says anything.
type natsSetting struct {
	key string
	set bool
}

func (n NATS) settings() []natsSetting {
	return []natsSetting{
		{"credentials", n.Credentials != ""},
		{"user", n.User != ""},
		{"password", n.Password != ""},
		{"token", n.Token != ""},
		{"tls.ca", n.TLS.CA != ""},
		{"tls.cert", n.TLS.Cert != ""},
		{"tls.key", n.TLS.Key != ""},
		{"tls.server_name", n.TLS.ServerName != ""},
		{"prefix", n.Prefix != ""},
		{"replicas", n.Replicas != 0},
		{"repeats", n.Repeats != 0},
		{"ack_wait", n.AckWait != 0},
	}
}

func (n NATS) check(p *problems) {
	n.checkAccess(p)
	TLS{n.TLS.Cert, n.TLS.Key}.check(p, "queue.tls")
	if _, _, err := certificatesOf(n.TLS.CA); err != nil {
		p.add("queue.tls.ca", "%v", err)
	}
	if n.Prefix != "" && !streamPrefix.MatchString(n.Prefix) {
		p.add("queue.prefix", "must be 1 to 32 letters, digits, dashes and underscores, without an underscore at the end, not %q", n.Prefix)
	}
	between(p, "queue.replicas", n.Replicas, 0, 5, strconv.Itoa)
	// A batch whose acknowledgement got lost is sent again for up to ten seconds;
	// what the servers remember for a long time they remember in memory.
	if n.Repeats != 0 {
		between(p, "queue.repeats", n.Repeats, 30*time.Second, 24*time.Hour, time.Duration.String)
	}
	// A record that is taken over while it is being delivered is delivered twice.
	if n.AckWait != 0 {
		between(p, "queue.ack_wait", n.AckWait, time.Second, time.Hour, time.Duration.String)
	}
}

// checkAccess looks at who the bridge says that it is.
func (n NATS) checkAccess(p *problems) {
	switch {
	case n.Credentials != "" && (n.User != "" || n.Password != ""):
		p.add("queue.credentials", "cannot stand beside queue.user; leave out one of them")
	case n.Credentials != "" && n.Token != "":
		p.add("queue.credentials", "cannot stand beside queue.token; leave out one of them")
	case n.Token != "" && (n.User != "" || n.Password != ""):
		p.add("queue.token", "cannot stand beside queue.user; leave out one of them")
	case n.User != "" && n.Password == "":
		p.add("queue.user", "needs queue.password or queue.password_file")
	case n.User == "" && n.Password != "":
		p.add("queue.password", "needs queue.user, the user that it belongs to")
	}
	if n.Credentials == "" {
		return
	}
	if err := checkCredentials(n.Credentials); err != nil {
		p.add("queue.credentials", "%v", err)
	}
}

// checkCredentials reads a file of credentials as the client would. The error
// never shows what is in it.
func checkCredentials(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if _, err := nkeys.ParseDecoratedJWT(text); err != nil {
		return fmt.Errorf("%s holds no JWT; it must be a file that nsc made", file)
	}
	if _, err := nkeys.ParseDecoratedUserNKey(text); err != nil {
		return fmt.Errorf("%s holds no user's key; it must be a file that nsc made", file)
	}
	return nil
}

// client is the TLS configuration for NATS; nil: the client's own. A certificate
// to show is read again for each connection, so that it can be renewed.
func (t ClientTLS) client() (*tls.Config, error) {
	if t == (ClientTLS{}) {
		return nil, nil
	}
	_, pool, err := certificatesOf(t.CA)
	if err != nil {
		return nil, fmt.Errorf("queue.tls.ca: %w", err)
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, ServerName: t.ServerName}
	if t.Cert != "" {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
			return &pair, err
		}
	}
	return cfg, nil
}

// unused names what is set and has no effect on NATS. It is no mistake. A
// data_dir is passed over: images set it for either store.
func (c Config) unused() []string {
	if !c.Queue.OnNATS() {
		return nil
	}
	if c.ScrubEvery != DefaultConfig().ScrubEvery {
		return []string{"scrub_every: is not used where the queue is on NATS; the servers look after their own files"}
	}
	return nil
}
