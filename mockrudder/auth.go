package mockrudder

import "net/http"

// keyReader finds the write key of a request, or says why there is none.
type keyReader func(r *http.Request) (key string, no refusal)

// keyInHeader reads the user name of basic auth; a bearer token is no key.
func keyInHeader(r *http.Request) (string, refusal) {
	user, _, _ := r.BasicAuth()
	return user, noKeyInHeader
}

// keyInQuery reads the query's writeKey alone.
func keyInQuery(r *http.Request) (string, refusal) {
	return r.URL.Query().Get("writeKey"), noKeyInQuery
}

// keyOfWebhook reads the query's writeKey, and basic auth where that is empty:
// a key in the query wins even when it is wrong.
func keyOfWebhook(r *http.Request) (string, refusal) {
	if key := r.URL.Query().Get("writeKey"); key != "" {
		return key, noKeyInQuery
	}
	user, _, _ := r.BasicAuth()
	return user, noKeyInQuery
}

// anyKey is the write key that a request carries, wherever it is.
func anyKey(r *http.Request) string {
	key, _ := keyOfWebhook(r)
	return key
}

// authenticate returns the source that a request may write to, or how it is
// refused. For the webhook only a webhook source will do, and one that is none
// is refused before it matters whether it is disabled.
func (s *Server) authenticate(r *http.Request, read keyReader, webhook bool) (src *source, no refusal, ok bool) {
	key, missing := read(r)
	if key == "" {
		return nil, missing, false
	}
	src = s.config.sources[key]
	switch {
	case src == nil || webhook && src.kind != Braze:
		return nil, wrongKey, false
	case src.disabled:
		return nil, sourceDisabled, false
	}
	return src, refusal{}, true
}
