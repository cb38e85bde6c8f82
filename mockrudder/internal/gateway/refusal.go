// Package gateway answers HTTP requests as RudderStack's gateway does: which it
// accepts, which messages it stores of them, and which errors it answers to others.
package gateway

import "net/http"

// MaxRequestBytes is RudderStack's limit for an uncompressed request, and for the
// batch that the transformation of a webhook makes of it.
const MaxRequestBytes = 4_096_000

// Refusal is an error response.
type Refusal struct {
	Status int
	Text   string
}

// The error responses of RudderStack's server 1.83.
var (
	NoKeyInHeader   = &Refusal{http.StatusUnauthorized, "failed to read writekey from header"}
	NoKeyInQuery    = &Refusal{http.StatusUnauthorized, "failed to read writekey from query params"}
	WrongKey        = &Refusal{http.StatusUnauthorized, "invalid write key"}
	SourceDisabled  = &Refusal{http.StatusNotFound, "source is disabled"}
	BrokenBody      = &Refusal{http.StatusInternalServerError, "failed to read body from request"}
	BrokenForm      = &Refusal{http.StatusBadRequest, "error during parsing form"}
	BrokenMultiform = &Refusal{http.StatusBadRequest, "error during parsing multiform"}
	InvalidJSON     = &Refusal{http.StatusBadRequest, "invalid json"}
	EmptyBatch      = &Refusal{http.StatusBadRequest, "empty batch payload"}
	NotRudderEvent  = &Refusal{http.StatusBadRequest, "event is not a valid rudder event"}
	NoIdentity      = &Refusal{http.StatusBadRequest, "request neither has anonymousId nor userId"}
	TooLarge        = &Refusal{http.StatusRequestEntityTooLarge, "request size exceeds max limit"}
	TooMany         = &Refusal{http.StatusTooManyRequests, "max requests limit reached"}
)
