package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
)

// DialFunc makes a connection, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// errPublic says that a target is not in a private network.
var errPublic = errors.New("which is neither loopback nor a private address: load goes there only with --yes-i-own-this-target")

// private says whether an address is on this machine or in a private network
// (RFC 1918, RFC 4193, link-local). The unspecified address reaches this machine.
func private(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsUnspecified()
}

type target struct {
	url       *url.URL
	header    http.Header
	transport *http.Transport
	timeout   time.Duration
}

// parseURL reads an address to post to, http where it has no scheme. Its errors
// never show the text, which may contain a write key.
func parseURL(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("it cannot be read as a URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, errors.New("it must begin with http:// or https:// and a host")
	}
	return u, nil
}

// shown is a URL without what may be secret: query, fragment and user.
func shown(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

func newTarget(c *Config) (*target, error) {
	u, err := parseURL(c.URL)
	if err != nil {
		return nil, fmt.Errorf("the target's URL: %w", err)
	}
	header := http.Header{"Content-Type": {"application/json"}, "Braze-Currents-Version": {"1"}, "User-Agent": {"mockbraze-load"}}
	if c.Token != "" {
		header.Set("Authorization", "Bearer "+c.Token)
	}
	dial := c.Dial
	if dial == nil {
		dial = dialer(c.PublicTarget)
	}
	return &target{url: u, header: header, timeout: c.Timeout, transport: &http.Transport{
		DialContext: dial, // and no proxy: it would be what is measured
		// A connection for each worker, all of them kept.
		MaxConnsPerHost:     c.Connections,
		MaxIdleConns:        c.Connections,
		MaxIdleConnsPerHost: c.Connections,
		IdleConnTimeout:     5 * time.Minute,
		TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig:     tlsConfig(c),
		DisableCompression:  true,
		WriteBufferSize:     64 << 10,
	}}, nil
}

func tlsConfig(c *Config) *tls.Config {
	return &tls.Config{RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12}
}

// dialer checks the address of each connection, so that a name that resolves to a
// public address later is refused, too.
func dialer(public bool) DialFunc {
	d := &net.Dialer{Timeout: 10 * time.Second}
	if !public {
		d.Control = func(_, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			return refusePublic(address, at.Addr())
		}
	}
	return d.DialContext
}

// check resolves the target's name and refuses it where one of its addresses is
// public.
func (t *target) check(ctx context.Context) error {
	host := t.url.Hostname()
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return fmt.Errorf("the target's name: %w", err)
	}
	for _, a := range addresses {
		if err := refusePublic(host, a); err != nil {
			return err
		}
	}
	return nil
}

func refusePublic(host string, a netip.Addr) error {
	if private(a) {
		return nil
	}
	return fmt.Errorf("%s is %s, %w", host, a.Unmap(), errPublic)
}

// post sends a batch and fills in its answer. Where none came, err says why and contains
// no URL.
func (t *target) post(ctx context.Context, body []byte, b *batch) error {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	req := (&http.Request{
		Method: http.MethodPost, URL: t.url, Host: t.url.Host, Header: t.header, Body: io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	// Not by an http.Client: it would follow redirects, and put the URL with its
	// query into errors.
	res, err := t.transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if err == nil {
		_, err = io.CopyN(io.Discard, res.Body, 256<<10) // so that the connection can be used again
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if b.status = res.StatusCode; b.status < 200 || b.status > 299 {
		b.says = t.firstWords(text)
	} else if said := (struct{ Dead int }{}); json.Unmarshal(text, &said) == nil { // as a bridge says it; other answers have none
		b.dead = min(max(said.Dead, 0), b.events)
	}
	return nil
}

// firstWords is how an answer begins, on one line and with secrets of the request
// masked.
func (t *target) firstWords(text []byte) string {
	says := strings.Join(strings.Fields(strings.ToValidUTF8(string(text), "\uFFFD")), " ")
	secrets := []string{strings.TrimPrefix(t.header.Get("Authorization"), "Bearer ")}
	for _, values := range t.url.Query() {
		secrets = append(secrets, values...)
	}
	for _, secret := range secrets {
		if secret != "" {
			says = strings.ReplaceAll(says, secret, "****")
		}
	}
	if runes := []rune(says); len(runes) > 120 {
		says = string(runes[:120]) + "…"
	}
	return says
}

// failureOf names the cause of a missing answer. There are few, so they can be
// counted.
func failureOf(err error) string {
	switch untrusted := new(*tls.CertificateVerificationError); {
	case errors.Is(err, errPublic):
		return "public address"
	case errors.As(err, untrusted):
		return "certificate not trusted"
	case errors.Is(err, context.Canceled):
		return "cut off at the end"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "time-out"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed"
	default:
		return "other"
	}
}
