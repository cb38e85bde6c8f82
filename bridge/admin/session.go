package admin

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// A session stands for the admin token in a browser. It ends after sessionAge,
// with a restart, or when the token changes.
const (
	sessionCookie = "bridge_session"
	sessionAge    = 12 * time.Hour
)

// sessions are those that are open, by the hash of what is in the cookie: what
// is in memory opens nothing.
type sessions struct {
	mu   sync.Mutex
	ends map[[sha256.Size]byte]time.Time
}

// begin opens a session and returns what is in its cookie.
func (s *sessions) begin(now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.ends, func(_ [sha256.Size]byte, ends time.Time) bool { return !now.Before(ends) })
	secret := rand.Text()
	s.ends[sha256.Sum256([]byte(secret))] = now.Add(sessionAge)
	return secret
}

func (s *sessions) open(secret string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ends, known := s.ends[sha256.Sum256([]byte(secret))]
	return known && now.Before(ends)
}

func (s *sessions) end(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ends, sha256.Sum256([]byte(secret)))
}

// endAll makes an empty set of sessions out of any.
func (s *sessions) endAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends = map[[sha256.Size]byte]time.Time{}
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

// login begins a session for who has the token.
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
	if got := sha256.Sum256([]byte(values.Get("token"))); subtle.ConstantTimeCompare(got[:], want[:]) == 0 {
		a.cfg.Log.Warn("a login with a wrong admin token", "from", c.Request.RemoteAddr)
		fail(c, http.StatusUnauthorized, "this is not the admin token")
		return
	}
	a.setCookie(c, a.sessions.begin(a.cfg.Now()), int(sessionAge/time.Second))
	c.JSON(http.StatusOK, Session{true, true})
}

// logout ends the session of the browser that asks.
func (a *Admin) logout(c *gin.Context) {
	if cookie, err := c.Request.Cookie(sessionCookie); err == nil {
		a.sessions.end(cookie.Value)
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
