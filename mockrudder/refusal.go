package mockrudder

import "net/http"

// refusal is an answer that says no: a status and the words that go with it.
type refusal struct {
	status int
	text   string
}

// The words are those of RudderStack's server 1.83.
var (
	noKeyInHeader   = refusal{http.StatusUnauthorized, "failed to read writekey from header"}
	noKeyInQuery    = refusal{http.StatusUnauthorized, "failed to read writekey from query params"}
	wrongKey        = refusal{http.StatusUnauthorized, "invalid write key"}
	sourceDisabled  = refusal{http.StatusNotFound, "source is disabled"}
	brokenBody      = refusal{http.StatusInternalServerError, "failed to read body from request"}
	brokenForm      = refusal{http.StatusBadRequest, "error during parsing form"}
	brokenMultiform = refusal{http.StatusBadRequest, "error during parsing multiform"}
	invalidJSON     = refusal{http.StatusBadRequest, "invalid json"}
	emptyBatch      = refusal{http.StatusBadRequest, "empty batch payload"}
	notRudderEvent  = refusal{http.StatusBadRequest, "event is not a valid rudder event"}
	noIdentity      = refusal{http.StatusBadRequest, "request neither has anonymousId nor userId"}
	tooLarge        = refusal{http.StatusRequestEntityTooLarge, "request size exceeds max limit"}
	tooMany         = refusal{http.StatusTooManyRequests, "max requests limit reached"}
	noTransformer   = refusal{http.StatusServiceUnavailable, "transformation server unreachable"}
)
