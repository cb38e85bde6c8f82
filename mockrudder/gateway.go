package mockrudder

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/currentsbridge/currentsbridge/mockrudder/internal/gateway"
)

// methods are the calls of a path, by method.
type methods map[string]http.HandlerFunc

// gatewayRoutes answers as RudderStack's router does: a path is compared as it
// is written in the request, so that an encoded one is another one, and nothing
// is redirected. http.ServeMux decodes, cleans and redirects.
func (s *Server) gatewayRoutes() http.Handler {
	paths := map[string]methods{
		webhookPath:        {http.MethodGet: s.webhookProbe, http.MethodPost: s.webhook},
		"/v1/batch":        {http.MethodPost: s.messages(keyInHeader, gateway.Batch)},
		"/beacon/v1/batch": {http.MethodPost: s.messages(keyInQuery, gateway.Batch)},
		"/v1/import":       {http.MethodPost: s.imports},
		"/":                {http.MethodGet: health},
		"/health":          {http.MethodGet: health},
		"/version":         {http.MethodGet: version},
		"/robots.txt":      {http.MethodGet: robots},
		"/docs":            {http.MethodGet: docs},
	}
	for _, kind := range []string{"track", "identify", "page", "screen", "group", "alias", "merge", "audiencelist"} {
		paths["/v1/"+kind] = methods{http.MethodPost: s.messages(keyInHeader, gateway.Single(kind))}
	}
	for _, kind := range []string{"track", "page"} {
		paths["/pixel/v1/"+kind] = methods{http.MethodGet: s.pixel(kind)}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.RawPath // is set where it is not the usual encoding of Path
		if path == "" {
			path = r.URL.Path
		}
		here, found := paths[path]
		handle := here[r.Method]
		switch {
		case handle != nil:
			handle(w, r)
		case !knownMethod(r.Method):
			s.store.answered("", http.StatusMethodNotAllowed)
			w.WriteHeader(http.StatusMethodNotAllowed)
		case !found:
			s.refuse(w, "", &gateway.Refusal{Status: http.StatusNotFound, Text: "404 page not found"})
		default:
			s.store.answered("", http.StatusMethodNotAllowed)
			for method := range here {
				w.Header().Add("Allow", method)
			}
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	})
}

// knownMethod says whether RudderStack's router knows a method at all.
func knownMethod(method string) bool {
	return slices.Contains([]string{"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}, method)
}

// keyReader finds the write key of a request, or says why there is none.
type keyReader func(r *http.Request) (key string, no *gateway.Refusal)

// keyInHeader reads the user name of basic auth; a bearer token is no key.
func keyInHeader(r *http.Request) (string, *gateway.Refusal) {
	user, _, _ := r.BasicAuth()
	return user, gateway.NoKeyInHeader
}

// keyInQuery reads the query's writeKey alone.
func keyInQuery(r *http.Request) (string, *gateway.Refusal) {
	return r.URL.Query().Get("writeKey"), gateway.NoKeyInQuery
}

// keyOfWebhook reads the query's writeKey, and basic auth where that is empty:
// a key in the query wins even when it is wrong.
func keyOfWebhook(r *http.Request) (string, *gateway.Refusal) {
	if key := r.URL.Query().Get("writeKey"); key != "" {
		return key, gateway.NoKeyInQuery
	}
	user, _, _ := r.BasicAuth()
	return user, gateway.NoKeyInQuery
}

// authenticate returns the source that a request may write to, or how it is
// refused. For the webhook only a webhook source will do, and one that is none
// is refused before it matters whether it is disabled.
func (s *Server) authenticate(r *http.Request, read keyReader, webhook bool) (*source, *gateway.Refusal) {
	key, missing := read(r)
	if key == "" {
		return nil, missing
	}
	src := s.config.sources[key]
	switch {
	case src == nil || webhook && src.kind != Braze:
		return nil, gateway.WrongKey
	case src.disabled:
		return nil, gateway.SourceDisabled
	}
	return src, nil
}

// refuse answers with a refusal and counts it for the source with this key, ""
// where the key was not good.
func (s *Server) refuse(w http.ResponseWriter, key string, no *gateway.Refusal) {
	s.store.answered(key, no.Status)
	http.Error(w, no.Text, no.Status)
}

// succeed answers 200 ok.
func (s *Server) succeed(w http.ResponseWriter, key string) {
	s.store.answered(key, http.StatusOK)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok"))
}

// readCall returns the source of a call of the HTTP API and its body, or answers.
func (s *Server) readCall(w http.ResponseWriter, r *http.Request, read keyReader) (src *source, body string, ok bool) {
	src, no := s.authenticate(r, read, false)
	if no != nil {
		s.refuse(w, "", no)
		return nil, "", false
	}
	body, err := readAll(uncompressed(r), maxRead, r.ContentLength)
	switch {
	case errors.Is(err, errTooLong):
		s.refuse(w, src.key, gateway.TooLarge)
	case err != nil:
		s.refuse(w, src.key, gateway.BrokenBody)
	default:
		return src, body, true
	}
	return nil, "", false
}

// messages handles the calls that take finished messages. RudderStack decides
// in this order: the method, the key, reading the body, what gateway.Batch says,
// and last the rate limit. Nothing of a request that is refused is stored.
func (s *Server) messages(read keyReader, parse gateway.Parser) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		src, body, ok := s.readCall(w, r, read)
		if !ok {
			return
		}
		messages, no := parse(body)
		if no == nil {
			no = s.take(src, r, len(body), messages)
		}
		if no != nil {
			s.refuse(w, src.key, no)
			return
		}
		s.succeed(w, src.key)
	}
}

// take stores messages that are good, unless the rate limit or a database that
// fails is in the way.
func (s *Server) take(src *source, r *http.Request, size int, messages []gateway.Message) *gateway.Refusal {
	if r.Header.Get("X-Rudder-Job-Run-Id") == "" && !s.limiter.allow(time.Now(), len(messages)) {
		return gateway.TooMany
	}
	if no := s.database(r, src.key); no != nil {
		return no
	}
	s.accept(src, r, size, messages)
	return nil
}

// imports handles /v1/import: the messages of each user are a batch of their
// own, so that one user's bad message does not keep out another's. The words of
// all refusals are joined, and more than one gives 500.
func (s *Server) imports(w http.ResponseWriter, r *http.Request) {
	src, body, ok := s.readCall(w, r, keyInHeader)
	if !ok {
		return
	}
	batches, no := gateway.Groups(body)
	if no != nil {
		s.refuse(w, src.key, no)
		return
	}
	var refusals []*gateway.Refusal
	for _, batch := range batches {
		messages, no := gateway.Batch(batch)
		if no == nil {
			no = s.take(src, r, len(batch), messages)
		}
		if no != nil {
			refusals = append(refusals, no)
		}
	}
	switch len(refusals) {
	case 0:
		s.succeed(w, src.key)
	case 1:
		s.refuse(w, src.key, refusals[0])
	default:
		all := &gateway.Refusal{Status: http.StatusInternalServerError}
		for _, no := range refusals {
			all.Text += no.Text
		}
		s.refuse(w, src.key, all)
	}
}

// webhookProbe answers a GET: with a good key it is taken, and does nothing.
func (s *Server) webhookProbe(w http.ResponseWriter, r *http.Request) {
	src, no := s.authenticate(r, keyOfWebhook, true)
	if no != nil {
		s.refuse(w, "", no)
		return
	}
	s.store.answered(src.key, http.StatusOK)
	w.WriteHeader(http.StatusOK)
}

// webhook handles what Braze posts. RudderStack decides in this order: the
// method, the key, the body (forms too), its size, the transformation, what
// gateway.Batch would say of the batch that came out of it, the rate limit.
func (s *Server) webhook(w http.ResponseWriter, r *http.Request) {
	src, no := s.authenticate(r, keyOfWebhook, true)
	if no != nil {
		s.refuse(w, "", no)
		return
	}
	body, no := webhookBody(r)
	if no == nil && gateway.WebhookSize(r, body) > gateway.MaxRequestBytes {
		no = gateway.TooLarge
	}
	if no == nil {
		no = s.transformer(r, src.key)
	}
	if no != nil {
		s.refuse(w, src.key, no)
		return
	}
	out := gateway.Webhook(src.mapper, body)
	if out.After > 0 {
		s.pause(r.Context(), out.After)
	}
	if out.Closed {
		s.abort(src.key)
	}
	no = out.Refusal
	if shared := s.spread.with(s, r, &out); shared != nil {
		no = shared
	}
	if no == nil {
		no = s.take(src, r, len(body), out.Messages)
	}
	if no != nil {
		s.refuse(w, src.key, no)
		return
	}
	s.succeed(w, src.key)
}

// spread is a refusal of the transformer that hits all requests that are handed
// to it together. It is safe for concurrent use.
type spread struct {
	mu    sync.Mutex
	until time.Time
	no    *gateway.Refusal
}

// transformerBatch is how long RudderStack gathers webhook requests for one call
// to its transformer.
const transformerBatch = 20 * time.Millisecond

// with returns the refusal that a request gets from another one, or its own
// where that spreads; then the time of the batch has passed.
func (b *spread) with(s *Server, r *http.Request, out *gateway.Outcome) *gateway.Refusal {
	b.mu.Lock()
	now := time.Now()
	switch {
	case now.Before(b.until):
	case out.Spreads:
		b.until, b.no = now.Add(transformerBatch), out.Refusal
	default:
		b.mu.Unlock()
		return nil
	}
	no, rest := b.no, b.until.Sub(now)
	b.mu.Unlock()
	s.pause(r.Context(), rest)
	return no
}

// sortedQuery lists the names of a query that make a message of a pixel call,
// so that of two names in each other's way always the same one wins.
func sortedQuery(query map[string][]string) []string {
	names := make([]string, 0, len(query))
	for name := range query {
		if name != "writeKey" && name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// pixelImage is what a pixel call always answers: a GIF of one transparent pixel.
const pixelImage = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

// pixel handles a call whose message stands in the query. Whatever is wrong
// with it, the answer is the image; only a good message is stored.
func (s *Server) pixel(kind string) http.HandlerFunc {
	parse := gateway.Single(kind)
	return func(w http.ResponseWriter, r *http.Request) {
		key := ""
		if src, no := s.authenticate(r, keyInQuery, false); no == nil {
			key = src.key
			message := pixelMessage(r)
			if messages, no := parse(message); no == nil {
				_ = s.take(src, r, len(message), messages)
			}
		}
		s.store.answered(key, http.StatusOK)
		w.Header().Set("Content-Type", "image/gif")
		_, _ = w.Write([]byte(pixelImage))
	}
}

// pixelMessage makes a message of a query. A dot in a name leads into an object;
// every value is text.
func pixelMessage(r *http.Request) string {
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00")
	message := map[string]any{
		"channel":           "web",
		"integrations":      map[string]any{"All": true},
		"originalTimestamp": now,
		"sentAt":            now,
	}
	query := r.URL.Query()
	for _, name := range sortedQuery(query) {
		parts := strings.Split(name, ".")
		at := message
		for _, part := range parts[:len(parts)-1] {
			child, isObject := at[part].(map[string]any)
			if !isObject {
				child = map[string]any{}
				at[part] = child
			}
			at = child
		}
		at[parts[len(parts)-1]] = query[name][0]
	}
	return string(encode(message))
}
