package admin

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/internal/hostguard"
)

// SetToken changes the bearer token that all but /livez, /readyz and the empty page need;
// empty: nothing needs one. A browser that has sent it to /api/login has a session
// instead. With another token all sessions end.
func (a *Admin) SetToken(token string) {
	if token == "" {
		a.token.Store(nil)
		a.sessions.ends.Clear()
		return
	}
	hash := sha256.Sum256([]byte(token))
	if was := a.token.Swap(&hash); was == nil || *was != hash {
		a.sessions.ends.Clear()
	}
}

// SetHosts changes the names that requests may ask for where no token is set, without a
// port: bridge.example.com, or .example.com for all below it. IP addresses, names without
// a dot and localhost need not be listed. Where one is no name it fails and changes
// nothing.
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
	if !strings.EqualFold(scheme, "bearer") || !is(strings.TrimSpace(token), want) {
		c.Header("WWW-Authenticate", "Bearer")
		fail(c, http.StatusUnauthorized, "the admin token is missing or wrong; send it as a bearer token (bridge commands: --admin-token)")
	}
}

func is(token string, want *[sha256.Size]byte) bool {
	got := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// A session stands for the admin token in a browser. It ends after sessionAge,
// with a restart, or when the token changes.
const (
	sessionCookie = "bridge_session"
	sessionAge    = 12 * time.Hour
)

// sessions are those that are open: when each ends, by the hash of what is in its
// cookie, so that a copy of the memory opens none.
type sessions struct{ ends sync.Map }

func (s *sessions) begin(now time.Time) string {
	s.ends.Range(func(hash, ends any) bool {
		if !now.Before(ends.(time.Time)) {
			s.ends.Delete(hash)
		}
		return true
	})
	secret := rand.Text()
	s.ends.Store(sha256.Sum256([]byte(secret)), now.Add(sessionAge))
	return secret
}

func (s *sessions) open(secret string, now time.Time) bool {
	ends, known := s.ends.Load(sha256.Sum256([]byte(secret)))
	return known && now.Before(ends.(time.Time))
}

// inSession tells whether a request comes from a page that has logged in. A
// cookie goes to every port of a host, so that a page of another port could send
// it; its browser says so.
func (a *Admin) inSession(r *http.Request) bool {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil || !a.sessions.open(cookie.Value, a.cfg.Now()) {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return true
	}
	return false
}

// Session is what /api/session answers.
type Session struct {
	Needed bool `json:"needed"` // there is an admin token
	Open   bool `json:"open"`   // this browser may see and do everything
}

func (a *Admin) session(c *gin.Context) {
	needed := a.token.Load() != nil
	c.JSON(http.StatusOK, Session{needed, !needed || a.inSession(c.Request)})
}

func (a *Admin) login(c *gin.Context) {
	if c.Request.URL.RawQuery != "" {
		fail(c, http.StatusBadRequest, "the token must not stand in the URL; send it in the body")
		return
	}
	values, err := form(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	want := a.token.Load()
	if want == nil {
		fail(c, http.StatusConflict, "there is no admin token, so no login is needed")
		return
	}
	if !is(values.Get("token"), want) {
		a.cfg.Log.Warn("a login with a wrong admin token", "from", c.Request.RemoteAddr)
		fail(c, http.StatusUnauthorized, "this is not the admin token")
		return
	}
	a.setCookie(c, a.sessions.begin(a.cfg.Now()), int(sessionAge/time.Second))
	c.JSON(http.StatusOK, Session{true, true})
}

func (a *Admin) logout(c *gin.Context) {
	if cookie, err := c.Request.Cookie(sessionCookie); err == nil {
		a.sessions.ends.Delete(sha256.Sum256([]byte(cookie.Value)))
	}
	a.setCookie(c, "", -1)
	c.JSON(http.StatusOK, Session{Needed: a.token.Load() != nil})
}

func (a *Admin) setCookie(c *gin.Context, value string, seconds int) {
	http.SetCookie(c.Writer, &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: c.Request.TLS != nil || c.GetHeader("X-Forwarded-Proto") == "https",
	})
}
