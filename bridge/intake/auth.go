package intake

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
)

type tokens []tokenOwner

type tokenOwner struct {
	hash     [sha256.Size]byte
	owner    *connector
	position int // among the owner's tokens, from 1
	use      *tokenUse
}

// tokenKey names a token over reloads.
type tokenKey struct {
	connector string
	hash      [sha256.Size]byte
}

// tokenUse is how a token was used since the bridge started. It tells an operator
// when a token that is being rotated is out of use.
type tokenUse struct {
	requests atomic.Uint64
	last     atomic.Int64 // nanoseconds since the epoch; 0: never
}

func (t *tokens) add(c *connector, uses map[tokenKey]*tokenUse) {
	for i, token := range c.Tokens {
		hash := sha256.Sum256([]byte(token))
		key := tokenKey{c.Name, hash}
		if uses[key] == nil {
			uses[key] = new(tokenUse)
		}
		*t = append(*t, tokenOwner{hash, c, i + 1, uses[key]})
	}
}

// find returns the token that text is, or nil. How long it takes says nothing of
// how much of the text is right: hashes are compared, each of them, and each in
// constant time.
func (t tokens) find(text string) *tokenOwner {
	var stack [256]byte
	hash := sha256.Sum256(append(stack[:0], text...))
	at := -1
	for i := range t {
		equal := subtle.ConstantTimeCompare(hash[:], t[i].hash[:])
		at = subtle.ConstantTimeSelect(equal, i, at)
	}
	if at < 0 {
		return nil
	}
	return &t[at]
}

func (u *tokenUse) note() {
	u.requests.Add(1)
	u.last.Store(time.Now().UnixNano())
}

func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.Trim(token, " \t")
}

func (in *Intake) toFirst(c *gin.Context) {
	t := in.table.Load()
	in.authorize(c, t, t.connectors[0])
}

func (in *Intake) toNamed(c *gin.Context) {
	t := in.table.Load()
	if to := t.byName[c.Param("name")]; to != nil {
		in.authorize(c, t, to)
		return
	}
	// A sender without a token learns nothing, not even which names there are.
	if t.firstOpen == nil && t.tokens.find(bearer(c.Request)) == nil {
		in.unauthorized(c, t, nil)
		return
	}
	in.refuseUntrusted(c, nil, http.StatusNotFound, "there is no connector of this name; it is the last part of the path, /currents/NAME")
}

func (in *Intake) authorize(c *gin.Context, t *table, to *connector) {
	if !to.open() {
		token := t.tokens.find(bearer(c.Request))
		if token == nil || token.owner != to {
			in.unauthorized(c, t, to)
			return
		}
		token.use.note()
	}
	in.take(c, to)
}

// asRudderStack takes a request to /v1/webhook, where RudderStack looks for a
// write key: in the query, where a non-empty one wins even when it is wrong,
// else in the user name of basic auth. A bearer token, which RudderStack
// ignores, is taken too where there is neither.
func (in *Intake) asRudderStack(c *gin.Context) {
	// A token may hold a plus sign, which stands for a space in a query unless
	// it is escaped, and it never holds a space.
	key := strings.ReplaceAll(c.Query("writeKey"), " ", "+")
	if key == "" {
		key, _, _ = c.Request.BasicAuth()
	}
	if key == "" {
		key = bearer(c.Request)
	}
	t := in.table.Load()
	if token := t.tokens.find(key); token != nil {
		token.use.note()
		in.take(c, token.owner)
	} else if t.firstOpen != nil {
		in.take(c, t.firstOpen)
	} else {
		in.unauthorized(c, t, nil)
	}
}

// tinyBody is the size up to which a body holds no event of Braze: the smallest
// has over 100 bytes, while a probe is empty or {"events":[]}.
const tinyBody = 64

func (c *connector) keepsBatch() bool { return c.WrongToken == http.StatusServiceUnavailable }

func (in *Intake) unauthorized(c *gin.Context, t *table, to *connector) {
	keep, refused := t.keepBatch, &in.refused
	if to != nil {
		keep, refused = to.keepsBatch(), &to.refused
	}
	refused.Do(func() { in.cfg.Log.Warn("requests without a good token are refused", "connector", nameOf(to)) })
	const text = "the token is missing or wrong; set the connector's bearer token in Braze"
	if size := c.Request.ContentLength; keep && (size < 0 || size > tinyBody) {
		in.refuseUntrusted(c, to, http.StatusServiceUnavailable, text)
		return
	}
	c.Writer.Header().Set("WWW-Authenticate", "Bearer")
	in.refuseUntrusted(c, to, http.StatusUnauthorized, text)
}
