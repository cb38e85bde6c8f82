package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/internal/hostguard"
)

// SetToken changes the token that requests need; empty: they need none. With another
// token all sessions end.
func (a *Admin) SetToken(token string) {
	if token == "" {
		a.token.Store(nil)
		a.sessions.endAll()
		return
	}
	hash := sha256.Sum256([]byte(token))
	if was := a.token.Swap(&hash); was == nil || *was != hash {
		a.sessions.endAll()
	}
}

// SetHosts replaces Config.Hosts. Where one is no name it fails and changes nothing.
func (a *Admin) SetHosts(names []string) error {
	hosts, err := hostguard.New("admin_hosts, or set an admin_token", names...)
	if err != nil {
		return err
	}
	a.hosts.Store(hosts)
	return nil
}

// guard refuses requests without the token, and requests of pages of other sites.
// Where no token is needed, such a page could have had its own name resolve to this
// address (DNS rebinding); its Host header gives it away.
func (a *Admin) guard(c *gin.Context) {
	c.Header("Cache-Control", "no-store")
	c.Header("X-Content-Type-Options", "nosniff")
	c.Header("Cross-Origin-Resource-Policy", "same-origin")
	if err := a.origins.Check(c.Request); err != nil {
		fail(c, http.StatusForbidden, "a page from elsewhere may not do this")
		return
	}
	path := c.Request.URL.Path
	if path == "/livez" || path == "/readyz" { // probes have no token
		return
	}
	want := a.token.Load()
	if want == nil {
		if no := a.hosts.Load().Check(c.Request); no != nil {
			fail(c, http.StatusForbidden, no.Error())
		}
		return
	}
	if path == "/" || strings.HasPrefix(path, "/assets/") || path == "/api/session" || path == "/api/login" {
		return // the page knows nothing and asks for the token
	}
	if c.GetHeader("Authorization") == "" && a.inSession(c.Request) {
		return
	}
	scheme, token, _ := strings.Cut(c.GetHeader("Authorization"), " ")
	got := sha256.Sum256([]byte(strings.TrimSpace(token)))
	if !strings.EqualFold(scheme, "bearer") || subtle.ConstantTimeCompare(got[:], want[:]) == 0 {
		c.Header("WWW-Authenticate", "Bearer")
		fail(c, http.StatusUnauthorized, "the admin token is missing or wrong; send it as a bearer token (bridge commands: --admin-token)")
	}
}
