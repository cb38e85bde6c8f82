// Package hostguard keeps pages of the internet away from a server that asks
// for no password, or that listens on loopback.
//
// A browser lets a page send requests to its own origin only, but the owner of a
// name can resolve it to 127.0.0.1 after the page was loaded (DNS rebinding): then
// the page's own origin is this server. Such a request has the foreign name as its
// Host, by which it is recognized.
package hostguard

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// reserved are the last parts of names that the public DNS never has: RFC 6761
// and RFC 2606 keep the first four, and ICANN keeps internal for private
// networks (resolution 2024.07.29.06), which is where host.docker.internal and
// host.containers.internal come from. local is not one of them, as any machine
// of the same network may call itself anything there (RFC 6762).
var reserved = []string{"localhost", "test", "example", "invalid", "internal"}

// Usage describes a flag that takes the names to allow.
const Usage = "answer to this host name too, such as braze.example.com, or .example.com for all below it; may be repeated. " +
	"IP addresses and names without a dot need none"

// Guard recognizes requests of foreign pages. It comes from New and is safe for
// concurrent use.
type Guard struct {
	setting string
	names   map[string]bool
	below   []string // ".example.com"
	origins *http.CrossOriginProtection
}

// Refusal is why a request is refused, and what to do about it: each is one
// sentence without a full stop.
type Refusal struct {
	Reason, Fix string
}

// Error is both sentences.
func (r *Refusal) Error() string { return r.Reason + "; " + r.Fix }

// New returns a Guard that allows these names beside those that are always safe.
// A name that begins with a dot stands for all names below it.
// setting is what a user sets to allow a name, such as --allow-host. It fails
// where one of them is no host name.
func New(setting string, allow ...string) (*Guard, error) {
	g := &Guard{setting: setting, names: map[string]bool{}, origins: http.NewCrossOriginProtection()}
	for _, given := range allow {
		name := canonical(given)
		bare := strings.TrimPrefix(name, ".")
		if bare == "" || strings.ContainsAny(bare, ":/*@[] ") || strings.Contains(name, "..") {
			return nil, fmt.Errorf("%s: %q is no host name; give it without scheme and port, such as braze.example.com, or .example.com for all below it", setting, given)
		}
		if bare == name {
			g.names[name] = true
		} else {
			g.below = append(g.below, name)
		}
	}
	return g, nil
}

// Check returns nil where r may be answered. It refuses what a browser sends
// for a page of another origin, but for plain reading (GET, HEAD, OPTIONS),
// which such a page cannot look at; and whatever asks for a host that is not an
// IP address, not a name without a dot (localhost, or a container's), not of a
// kind that the public DNS never has (host.docker.internal), and not allowed
// with New. A request without a Host, as HTTP/1.0 allows, is from no browser and
// passes.
func (g *Guard) Check(r *http.Request) *Refusal {
	switch {
	case !g.Knows(r.Host):
		return &Refusal{fmt.Sprintf("this server does not answer to the host %q, which any page could use as a name for this address", r.Host),
			"ask by an IP address or as localhost; where the name is right, allow it with " + g.setting}
	case g.origins.Check(r) != nil:
		return &Refusal{"a page from elsewhere may not do this", "use this server's own page, or a client that is no browser"}
	}
	return nil
}

// Knows says whether requests with this Host, with or without a port, may be
// answered; an empty one may.
func (g *Guard) Knows(host string) bool {
	if host == "" {
		return true
	}
	name := canonical(withoutPort(host))
	_, noIP := netip.ParseAddr(name)
	last := name[strings.LastIndexByte(name, '.')+1:]
	switch {
	case name == "":
		return false
	case g.names[name] || noIP == nil:
		return true
	case strings.ContainsAny(name, ":[]@/"):
		return false
	case last == name || slices.Contains(reserved, last):
		return true
	}
	return slices.ContainsFunc(g.below, func(end string) bool { return len(name) > len(end) && strings.HasSuffix(name, end) })
}

func withoutPort(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

func canonical(name string) string {
	return strings.TrimSuffix(strings.ToLower(name), ".")
}

// WithListen adds to allow the host of a listening address that has a name, such
// as braze.example.com:8091.
func WithListen(allow []string, address string) []string {
	host, _, err := net.SplitHostPort(address)
	if _, noIP := netip.ParseAddr(host); err != nil || host == "" || noIP == nil {
		return allow
	}
	return append(slices.Clip(allow), host)
}
