package jetstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

const (
	connectTimeout = 5 * time.Second
	reconnectWait  = 100 * time.Millisecond
	pingEvery      = 5 * time.Second
	// neededMajor and neededMinor are the first release that stores several
	// messages together or not at all (NATS 2.12, ADR-50).
	neededMajor, neededMinor = 2, 12
)

// Inspect connects, asks whether JetStream is there and what the server can do, and leaves
// everything as it is. Its errors say which option is wrong and what to do.
func Inspect(ctx context.Context, opts Options) (Server, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return Server{}, err
	}
	nc, err := connect(ctx, opts)
	if err != nil {
		return Server{}, err
	}
	defer nc.Close()
	s, err := inspect(ctx, nc, opts)
	if err == nil && s.Cluster != "" {
		s.Nodes = nodes(ctx, nc, opts)
	}
	return s, err
}

// nodes is how many servers the cluster has. A server names the addresses of the
// others to its clients, and the client keeps those that it did not know: so it
// is told of one alone.
func nodes(ctx context.Context, nc *nats.Conn, opts Options) int {
	opts.URL = nc.ConnectedUrl()
	alone, err := connect(ctx, opts)
	if err != nil {
		return 0
	}
	defer alone.Close()
	if others := len(alone.DiscoveredServers()); others > 0 {
		return others + 1
	}
	return 0
}

func inspect(ctx context.Context, nc *nats.Conn, opts Options) (Server, error) {
	s := Server{
		Name: nc.ConnectedServerName(), Version: nc.ConnectedServerVersion(),
		Cluster: nc.ConnectedClusterName(), MaxPayload: nc.MaxPayload(), Replicas: opts.Replicas,
	}
	if s.Replicas == 0 {
		s.Replicas = 1
		if s.Cluster != "" {
			s.Replicas = clusterReplicas
		}
	}
	if old(s.Version) {
		return s, fmt.Errorf("NATS server %s is version %s: %d.%d or later is needed, which stores several messages together or not at all", s.Name, s.Version, neededMajor, neededMinor)
	}
	if s.MaxPayload < minPayload {
		return s, fmt.Errorf("NATS server %s takes messages of %d bytes: set its max_payload to %d or more", s.Name, s.MaxPayload, minPayload)
	}
	js, err := natsjs.New(nc)
	if err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	_, err = js.AccountInfo(ctx)
	switch {
	case err == nil:
		return s, nil
	case errors.Is(err, natsjs.ErrJetStreamNotEnabledForAccount):
		return s, fmt.Errorf("JetStream is off for the account of this user at NATS server %s: turn it on for the account: %w", s.Name, err)
	case errors.Is(err, natsjs.ErrJetStreamNotEnabled), errors.Is(err, nats.ErrNoResponders):
		return s, fmt.Errorf("JetStream is off at NATS server %s: start it with -js, or with jetstream in its configuration: %w", s.Name, err)
	}
	return s, fmt.Errorf("ask NATS server %s about JetStream: %w", s.Name, err)
}

// old tells whether a server is too old; a version that cannot be read is not.
func old(version string) bool {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 3 {
		return false
	}
	major, err := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err != nil || err2 != nil {
		return false
	}
	return major < neededMajor || major == neededMajor && minor < neededMinor
}

// connect connects once; a connection that is lost later is made again for ever.
func connect(ctx context.Context, opts Options) (*nats.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	options := []nats.Option{
		nats.Name("currentsbridge"), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait, reconnectWait), nats.ReconnectBufSize(-1),
		nats.IgnoreAuthErrorAbort(), nats.PingInterval(pingEvery), nats.Timeout(timeoutOf(ctx)),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				opts.Logger.Warn("the connection to NATS is lost; trying again for ever", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			opts.Logger.Info("connected to NATS again", "server", nc.ConnectedServerName())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			opts.Logger.Warn("NATS", "error", err)
		}),
	}
	auth, err := authentication(opts)
	if err != nil {
		return nil, err
	}
	options = append(options, auth...)
	if opts.TLS != nil {
		config := opts.TLS.Clone()
		options = append(options, func(o *nats.Options) error { // not nats.Secure, which makes it a must
			o.TLSConfig = config
			return nil
		})
	}
	nc, err := nats.Connect(opts.URL, options...)
	if err != nil {
		return nil, explain(opts, err)
	}
	return nc, nil
}

func timeoutOf(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return max(min(time.Until(deadline), connectTimeout), time.Millisecond)
	}
	return connectTimeout
}

func authentication(opts Options) ([]nats.Option, error) {
	var out []nats.Option
	n := 0
	if opts.Credentials != "" {
		if _, err := os.ReadFile(opts.Credentials); err != nil {
			return nil, fmt.Errorf("credentials: the file cannot be read; name one that nsc has made: %w", err)
		}
		out, n = append(out, nats.UserCredentials(opts.Credentials)), n+1
	}
	if opts.User != "" || opts.Password != "" {
		out, n = append(out, nats.UserInfo(opts.User, opts.Password)), n+1
	}
	if opts.Token != "" {
		out, n = append(out, nats.Token(opts.Token)), n+1
	}
	if n > 1 {
		return nil, errors.New("credentials, user and token: set only the one that the NATS server asks for")
	}
	return out, nil
}

// explain says which option a failure to connect comes from.
func explain(opts Options, err error) error {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var dial *net.OpError
	text := err.Error()
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("tls: the NATS server's certificate is signed by nobody known here: give the file of its CA: %w", err)
	case errors.As(err, &host):
		return fmt.Errorf("tls: the NATS server's certificate is for another name: use the name that is in it in the URL: %w", err)
	case errors.As(err, &invalid):
		return fmt.Errorf("tls: the NATS server's certificate is not valid: renew it: %w", err)
	case errors.Is(err, nats.ErrSecureConnWanted):
		return fmt.Errorf("url: it says tls, and the NATS server does not speak TLS: write nats:// or turn TLS on there: %w", err)
	case strings.Contains(text, "certificate required"), strings.Contains(text, "bad certificate"), strings.Contains(text, "unknown certificate"), strings.Contains(text, "after TLS handshake"):
		return fmt.Errorf("tls: the NATS server wants a client's certificate that it knows: give certificate and key: %w", err)
	case errors.As(err, &record), strings.HasPrefix(text, "tls:"), strings.Contains(text, "x509:"):
		return fmt.Errorf("tls: no agreement with the NATS server: %w", err)
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked),
		errors.Is(err, nats.ErrAccountAuthExpired), strings.Contains(strings.ToLower(text), "authorization"):
		return fmt.Errorf("%s: %w", refused(opts), err)
	case strings.Contains(text, "credential") || strings.Contains(text, "nkey") || strings.Contains(text, "seed"):
		return fmt.Errorf("credentials: the file holds no JWT and key as nsc writes them: %w", err)
	case errors.Is(err, nats.ErrNoServers), errors.Is(err, nats.ErrTimeout), errors.As(err, &dial):
		return fmt.Errorf("url: no NATS server answers there: check host, port and network: %w", err)
	}
	return fmt.Errorf("connect to NATS: %w", err)
}

func refused(opts Options) string {
	switch {
	case opts.Credentials != "":
		return "credentials: the NATS server refuses the file: make a new one with nsc for an account that it knows"
	case opts.User != "" || opts.Password != "":
		return "user and password: the NATS server refuses them: check both"
	case opts.Token != "":
		return "token: the NATS server refuses it: check it"
	}
	return "the NATS server wants to know who asks: set credentials, user and password, or token, whichever it is configured for"
}
