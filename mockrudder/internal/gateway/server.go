package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/currentsbridge/currentsbridge/mockrudder/brazesource"
)

// Source is one entrance with its write key.
type Source struct {
	Key      string
	Webhook  bool // a webhook source of Braze; others are for the HTTP API alone
	Disabled bool
	Mapper   *brazesource.Mapper
}

// Host is what a gateway works for. It is safe for concurrent use.
type Host interface {
	// Store stores messages of a request to a source, whose body has size bytes.
	Store(source *Source, r *http.Request, size int, messages []Message)
	// Answered counts an answer to a request with this source's key, "" for no
	// good key. Status 0 is a connection closed without one.
	Answered(source string, status int)
	// Pause waits, and says whether the time passed.
	Pause(ctx context.Context, span time.Duration) bool
}

// Gateway answers as RudderStack's gateway. It is safe for concurrent use.
type Gateway struct {
	host    Host
	sources map[string]*Source // by key
	limiter *rate.Limiter
	spread  spread
}

// New returns a gateway for these sources, with a limit of so many events in
// each window, 0 for none.
func New(host Host, sources map[string]*Source, events float64, window time.Duration) *Gateway {
	return &Gateway{host: host, sources: sources, limiter: newLimiter(events, window)}
}

// WebhookPath is where Braze posts to.
const WebhookPath = "/v1/webhook"

// methods are the calls of a path, by method.
type methods map[string]http.HandlerFunc

// Handler answers as RudderStack's router does: a path is compared as it
// is written in the request, so that an encoded one is another one, and nothing
// is redirected. http.ServeMux decodes, cleans and redirects.
func (g *Gateway) Handler() http.Handler {
	paths := map[string]methods{
		WebhookPath:        {http.MethodGet: g.webhookProbe, http.MethodPost: g.webhook},
		"/v1/batch":        {http.MethodPost: g.messages(keyInHeader, Batch)},
		"/beacon/v1/batch": {http.MethodPost: g.messages(keyInQuery, Batch)},
		"/v1/import":       {http.MethodPost: g.imports},
		"/":                {http.MethodGet: health},
		"/health":          {http.MethodGet: health},
		"/version":         {http.MethodGet: version},
		"/robots.txt":      {http.MethodGet: robots},
		"/docs":            {http.MethodGet: docs},
	}
	for _, kind := range []string{"track", "identify", "page", "screen", "group", "alias", "merge", "audiencelist"} {
		paths["/v1/"+kind] = methods{http.MethodPost: g.messages(keyInHeader, Single(kind))}
	}
	for _, kind := range []string{"track", "page"} {
		paths["/pixel/v1/"+kind] = methods{http.MethodGet: g.pixel(kind)}
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
			g.host.Answered("", http.StatusMethodNotAllowed)
			w.WriteHeader(http.StatusMethodNotAllowed)
		case !found:
			g.refuse(w, "", &Refusal{Status: http.StatusNotFound, Text: "404 page not found"})
		default:
			g.host.Answered("", http.StatusMethodNotAllowed)
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
type keyReader func(r *http.Request) (key string, no *Refusal)

// keyInHeader reads the user name of basic auth; a bearer token is no key.
func keyInHeader(r *http.Request) (string, *Refusal) {
	user, _, _ := r.BasicAuth()
	return user, NoKeyInHeader
}

// keyInQuery reads the query's writeKey alone.
func keyInQuery(r *http.Request) (string, *Refusal) {
	return r.URL.Query().Get("writeKey"), NoKeyInQuery
}

// KeyOfWebhook reads the query's writeKey, and basic auth where that is empty:
// a key in the query wins even when it is wrong.
func KeyOfWebhook(r *http.Request) (string, *Refusal) {
	if key := r.URL.Query().Get("writeKey"); key != "" {
		return key, NoKeyInQuery
	}
	user, _, _ := r.BasicAuth()
	return user, NoKeyInQuery
}

// authenticate returns the source that a request may write to, or how it is
// refused. For the webhook only a webhook source will do, and one that is none
// is refused before it matters whether it is disabled.
func (g *Gateway) authenticate(r *http.Request, read keyReader, webhook bool) (*Source, *Refusal) {
	key, missing := read(r)
	if key == "" {
		return nil, missing
	}
	src := g.sources[key]
	switch {
	case src == nil || webhook && !src.Webhook:
		return nil, WrongKey
	case src.Disabled:
		return nil, SourceDisabled
	}
	return src, nil
}

// refuse answers with a refusal and counts it for the source with this key, ""
// where the key was not good.
func (g *Gateway) refuse(w http.ResponseWriter, key string, no *Refusal) {
	g.host.Answered(key, no.Status)
	http.Error(w, no.Text, no.Status)
}

// succeed answers 200 ok.
func (g *Gateway) succeed(w http.ResponseWriter, key string) {
	g.host.Answered(key, http.StatusOK)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok"))
}

// readCall returns the source of a call of the HTTP API and its body, or answers.
func (g *Gateway) readCall(w http.ResponseWriter, r *http.Request, read keyReader) (src *Source, body string, ok bool) {
	src, no := g.authenticate(r, read, false)
	if no != nil {
		g.refuse(w, "", no)
		return nil, "", false
	}
	body, err := readAll(Uncompressed(r), MaxRead, r.ContentLength)
	switch {
	case errors.Is(err, errTooLong):
		g.refuse(w, src.Key, TooLarge)
	case err != nil:
		g.refuse(w, src.Key, BrokenBody)
	default:
		return src, body, true
	}
	return nil, "", false
}

// messages handles the calls that take finished messages. RudderStack decides
// in this order: the method, the key, reading the body, what Batch says,
// and last the rate limit. Nothing of a request that is refused is stored.
func (g *Gateway) messages(read keyReader, parse Parser) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		src, body, ok := g.readCall(w, r, read)
		if !ok {
			return
		}
		messages, no := parse(body)
		if no == nil {
			no = g.take(src, r, len(body), messages)
		}
		if no != nil {
			g.refuse(w, src.Key, no)
			return
		}
		g.succeed(w, src.Key)
	}
}

// take stores messages that are good, unless the rate limit or a database that
// fails is in the way.
func (g *Gateway) take(src *Source, r *http.Request, size int, messages []Message) *Refusal {
	if r.Header.Get("X-Rudder-Job-Run-Id") == "" && !g.limiter.AllowN(time.Now(), len(messages)) {
		return TooMany
	}
	if no := g.database(r, src.Key); no != nil {
		return no
	}
	g.host.Store(src, r, size, messages)
	return nil
}

// imports handles /v1/import: the messages of each user are a batch of their
// own, so that one user's bad message does not keep out another's. The words of
// all refusals are joined, and more than one gives 500.
func (g *Gateway) imports(w http.ResponseWriter, r *http.Request) {
	src, body, ok := g.readCall(w, r, keyInHeader)
	if !ok {
		return
	}
	batches, no := Groups(body)
	if no != nil {
		g.refuse(w, src.Key, no)
		return
	}
	var refusals []*Refusal
	for _, batch := range batches {
		messages, no := Batch(batch)
		if no == nil {
			no = g.take(src, r, len(batch), messages)
		}
		if no != nil {
			refusals = append(refusals, no)
		}
	}
	switch len(refusals) {
	case 0:
		g.succeed(w, src.Key)
	case 1:
		g.refuse(w, src.Key, refusals[0])
	default:
		all := &Refusal{Status: http.StatusInternalServerError}
		for _, no := range refusals {
			all.Text += no.Text
		}
		g.refuse(w, src.Key, all)
	}
}

// webhookProbe answers a GET: with a good key it is taken, and does nothing.
func (g *Gateway) webhookProbe(w http.ResponseWriter, r *http.Request) {
	src, no := g.authenticate(r, KeyOfWebhook, true)
	if no != nil {
		g.refuse(w, "", no)
		return
	}
	g.host.Answered(src.Key, http.StatusOK)
	w.WriteHeader(http.StatusOK)
}

// webhook handles what Braze posts. RudderStack decides in this order: the
// method, the key, the body (forms too), its size, the transformation, what
// Batch would say of the batch that came out of it, the rate limit.
func (g *Gateway) webhook(w http.ResponseWriter, r *http.Request) {
	src, no := g.authenticate(r, KeyOfWebhook, true)
	if no != nil {
		g.refuse(w, "", no)
		return
	}
	body, no := webhookBody(r)
	if no == nil && WebhookSize(r, body) > MaxRequestBytes {
		no = TooLarge
	}
	if no == nil {
		no = g.transformer(r, src.Key)
	}
	if no != nil {
		g.refuse(w, src.Key, no)
		return
	}
	out := Webhook(src.Mapper, body)
	if out.After > 0 {
		g.host.Pause(r.Context(), out.After)
	}
	if out.Closed {
		g.abort(src.Key)
	}
	no = out.Refusal
	if shared := g.spread.with(g.host, r, &out); shared != nil {
		no = shared
	}
	if no == nil {
		no = g.take(src, r, len(body), out.Messages)
	}
	if no != nil {
		g.refuse(w, src.Key, no)
		return
	}
	g.succeed(w, src.Key)
}

// spread is a refusal of the transformer that hits all requests that are handed
// to it together. It is safe for concurrent use.
type spread struct {
	mu    sync.Mutex
	until time.Time
	no    *Refusal
}

// transformerBatch is how long RudderStack gathers webhook requests for one call
// to its transformer.
const transformerBatch = 20 * time.Millisecond

// with returns the refusal that a request gets from another one, or its own
// where that spreads; then the time of the batch has passed.
func (b *spread) with(host Host, r *http.Request, out *Outcome) *Refusal {
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
	host.Pause(r.Context(), rest)
	return no
}

// pixelImage is what a pixel call always answers: a GIF of one transparent pixel.
const pixelImage = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

// pixel handles a call whose message stands in the query. Whatever is wrong
// with it, the answer is the image; only a good message is stored.
func (g *Gateway) pixel(kind string) http.HandlerFunc {
	parse := Single(kind)
	return func(w http.ResponseWriter, r *http.Request) {
		key := ""
		if src, no := g.authenticate(r, keyInQuery, false); no == nil {
			key = src.Key
			message := pixelMessage(r)
			if messages, no := parse(message); no == nil {
				_ = g.take(src, r, len(message), messages)
			}
		}
		g.host.Answered(key, http.StatusOK)
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
	for _, name := range slices.Sorted(maps.Keys(query)) { // of two names in conflict always the same one wins
		if name == "writeKey" || name == "" {
			continue
		}
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
	text, err := json.Marshal(message)
	if err != nil {
		return ""
	}
	return string(text)
}
