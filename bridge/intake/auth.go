package intake

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// tokens knows whose token a text is.
type tokens struct {
	list []tokenOwner
}

type tokenOwner struct {
	hash  [sha256.Size]byte
	owner *connector
}

// add remembers a token; false: it is empty or someone has it already.
func (t *tokens) add(token string, owner *connector) bool {
	if token == "" || t.owner(token) != nil {
		return false
	}
	t.list = append(t.list, tokenOwner{sha256.Sum256([]byte(token)), owner})
	return true
}

// owner returns whose token it is, or nil. How long it takes says nothing of
// how much of the text is right: hashes are compared, each of them, and each
// in constant time.
func (t *tokens) owner(token string) *connector {
	var stack [256]byte
	hash := sha256.Sum256(append(stack[:0], token...))
	at := -1
	for i := range t.list {
		equal := subtle.ConstantTimeCompare(hash[:], t.list[i].hash[:])
		at = subtle.ConstantTimeSelect(equal, i, at)
	}
	if at < 0 {
		return nil
	}
	return t.list[at].owner
}

// bearer returns the token of the request's Authorization header, or "".
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.Trim(token, " \t")
}

// toFirst takes a request to /currents.
func (in *Intake) toFirst(c *gin.Context) {
	t := in.table.Load()
	in.authorize(c, t, t.connectors[0])
}

// toNamed takes a request to /currents/NAME.
func (in *Intake) toNamed(c *gin.Context) {
	t := in.table.Load()
	if to := t.byName[c.Param("name")]; to != nil {
		in.authorize(c, t, to)
		return
	}
	// Who has no token learns nothing, not even which names there are.
	if t.tokens.owner(bearer(c.Request)) == nil && t.firstOpen == nil {
		in.unauthorized(c, nil)
		return
	}
	in.refuse(c, nil, http.StatusNotFound, "there is no connector of this name; it is the last part of the path, /currents/NAME")
}

func (in *Intake) authorize(c *gin.Context, t *table, to *connector) {
	if !to.open() && t.tokens.owner(bearer(c.Request)) != to {
		in.unauthorized(c, to)
		return
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
	to := t.tokens.owner(key)
	if to == nil {
		to = t.firstOpen
	}
	if to == nil {
		in.unauthorized(c, nil)
		return
	}
	in.take(c, to)
}

func (in *Intake) unauthorized(c *gin.Context, to *connector) {
	c.Writer.Header().Set("WWW-Authenticate", "Bearer")
	in.refuse(c, to, http.StatusUnauthorized, "the token is missing or wrong; set the connector's bearer token in Braze")
	refusals := &in.refusals
	if to != nil {
		refusals = &to.refusals
	}
	if n := refusals.allow(); n > 0 {
		in.cfg.Log.Warn("requests without a good token were refused", "connector", nameOf(to), "requests", n)
	}
}
