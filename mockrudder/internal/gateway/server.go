// Package gateway answers HTTP requests as RudderStack's gateway does: which it
// accepts, which messages it stores of them, and which errors it answers to others.
package gateway

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/currentsbridge/currentsbridge/mockrudder/brazesource"
)

// Source is one source with its write key.
type Source struct {
	Key      string              `json:"key"`
	Kind     string              `json:"kind"` // Braze, or else only for the HTTP API
	Disabled bool                `json:"disabled"`
	Mapper   *brazesource.Mapper `json:"-"`
}

// Braze is the kind of a webhook source of Braze.
const Braze = "braze"

// Gateway responds as RudderStack's gateway. It is safe for concurrent use, as its
// functions must be.
type Gateway struct {
	Sources map[string]*Source // by key
	Limiter *rate.Limiter
	// Store stores messages of a request whose body has size bytes.
	Store func(source *Source, r *http.Request, size int, messages []Message)
	// Answered counts a response to a request with this source's key, "" for no
	// valid key. Status 0 is a connection that was closed without a response.
	Answered func(source string, status int)
	Pause    func(ctx context.Context, span time.Duration) bool // waits, and says whether the time passed

	spread spread
}

// WebhookPath is the path that Braze posts to.
const WebhookPath = "/v1/webhook"

// methods are the handlers of a path, by method.
type methods map[string]http.HandlerFunc

// Handler routes as RudderStack does: it compares the path as it is written in the
// request, encoded or not, and redirects nothing. http.ServeMux decodes, cleans and
// redirects.
func (g *Gateway) Handler() http.Handler {
	paths := map[string]methods{
		WebhookPath:        {http.MethodGet: g.webhookProbe, http.MethodPost: g.call(KeyOfWebhook, true, g.webhook)},
		"/v1/batch":        {http.MethodPost: g.messages(keyInHeader, Batch)},
		"/beacon/v1/batch": {http.MethodPost: g.messages(keyInQuery, Batch)},
		"/v1/import":       {http.MethodPost: g.call(keyInHeader, false, g.imports)},
		"/":                {http.MethodGet: health},
		"/health":          {http.MethodGet: health},
		"/version": {http.MethodGet: static("application/json",
			`{"BuildDate":"2026-11-01T00:00:00Z","BuiltBy":"mockrudder","Commit":"","Features":["gzip-req-payload"],"Version":"1.83.0"}`)},
		"/robots.txt": {http.MethodGet: static("text/plain", "User-agent: * \nDisallow: / \n")},
		"/docs": {http.MethodGet: static("text/html", // in place of RudderStack's page about its HTTP API
			"<!DOCTYPE html>\n<title>RudderStack HTTP API</title>\n<p>A fake: the API is described at https://www.rudderstack.com/docs/api/http-api/\n")},
	}
	for _, kind := range []string{"track", "identify", "page", "screen", "group", "alias", "merge", "audiencelist"} {
		paths["/v1/"+kind] = methods{http.MethodPost: g.messages(keyInHeader, Single(kind))}
	}
	for _, kind := range []string{"track", "page"} {
		paths["/pixel/v1/"+kind] = methods{http.MethodGet: g.pixel(kind)}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.RawPath // set if it is not the default encoding of Path
		if path == "" {
			path = r.URL.Path
		}
		here, found := paths[path]
		handle := here[r.Method]
		switch {
		case handle != nil:
			handle(w, r)
		case !slices.Contains(knownMethods, r.Method):
			g.notAllowed(w, nil)
		case !found:
			g.respond(w, "", &Refusal{Status: http.StatusNotFound, Text: "404 page not found"})
		default:
			g.notAllowed(w, here)
		}
	})
}

func (g *Gateway) notAllowed(w http.ResponseWriter, here methods) {
	g.Answered("", http.StatusMethodNotAllowed)
	for method := range here {
		w.Header().Add("Allow", method)
	}
	w.WriteHeader(http.StatusMethodNotAllowed)
}

// knownMethods are the methods that RudderStack's router knows.
var knownMethods = strings.Fields("CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT QUERY TRACE")

// health is the response of an idle server 1.83.
func health(w http.ResponseWriter, r *http.Request) {
	static("application/json", `{"appType":"EMBEDDED","server":"UP","db":"UP","acceptingEvents":"TRUE","routingEvents":"TRUE",`+
		`"mode":"NORMAL","backendConfigMode":"JSON","lastSync":"`+time.Now().UTC().Format(time.RFC3339)+`","lastRegulationSync":""}`+"\n")(w, r)
}

// static serves a text that is the same at any time.
func static(kind, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind+"; charset=utf-8")
		_, _ = w.Write([]byte(text))
	}
}

// keyReader returns the write key of a request, and the refusal if it is "".
type keyReader func(r *http.Request) (key string, no *Refusal)

// keyInHeader reads the user name of basic authentication.
func keyInHeader(r *http.Request) (string, *Refusal) {
	user, _, _ := r.BasicAuth()
	return user, NoKeyInHeader
}

// keyInQuery reads the query's writeKey.
func keyInQuery(r *http.Request) (string, *Refusal) {
	return r.URL.Query().Get("writeKey"), NoKeyInQuery
}

// KeyOfWebhook reads the query's writeKey, and basic authentication if that is empty:
// a key in the query wins even if it is wrong.
func KeyOfWebhook(r *http.Request) (string, *Refusal) {
	key, no := keyInQuery(r)
	if key == "" {
		key, _ = keyInHeader(r)
	}
	return key, no
}

// authenticate returns the source of a request, or how it is refused. The webhook
// needs a webhook source; the kind is checked before whether it is disabled.
func (g *Gateway) authenticate(r *http.Request, read keyReader, webhook bool) (*Source, *Refusal) {
	key, missing := read(r)
	if key == "" {
		return nil, missing
	}
	src := g.Sources[key]
	switch {
	case src == nil || webhook && src.Kind != Braze:
		return nil, WrongKey
	case src.Disabled:
		return nil, SourceDisabled
	}
	return src, nil
}

// respond answers with a refusal, or 200 ok without one, and counts it for the source
// with this key, "" for no valid key.
func (g *Gateway) respond(w http.ResponseWriter, key string, no *Refusal) {
	if no != nil {
		g.Answered(key, no.Status)
		http.Error(w, no.Text, no.Status)
		return
	}
	g.Answered(key, http.StatusOK)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok"))
}

// call handles a request of a source with its body by a function that may refuse it.
func (g *Gateway) call(read keyReader, webhook bool, take func(src *Source, r *http.Request, body string) *Refusal) http.HandlerFunc {
	bodyOf := readBody
	if webhook {
		bodyOf = webhookBody
	}
	return func(w http.ResponseWriter, r *http.Request) {
		src, no := g.authenticate(r, read, webhook)
		key, body := "", ""
		if no == nil {
			key = src.Key
			body, no = bodyOf(r)
		}
		if no == nil {
			no = take(src, r, body)
		}
		g.respond(w, key, no)
	}
}

// readBody reads the body of a call of the HTTP API.
func readBody(r *http.Request) (body string, no *Refusal) {
	body, err := readAll(http.MaxBytesReader(nil, Uncompressed(r), MaxRead), r.ContentLength)
	if err != nil {
		return "", tooLong(err, BrokenBody)
	}
	return body, nil
}

// messages handles the calls with RudderStack messages. RudderStack checks in this
// order: the method, the key, reading the body, the checks of Batch, and last the
// rate limit. Nothing of a refused request is stored.
func (g *Gateway) messages(read keyReader, parse Parser) http.HandlerFunc {
	return g.call(read, false, func(src *Source, r *http.Request, body string) *Refusal {
		messages, no := parse(body)
		if no == nil {
			no = g.take(src, r, len(body), messages)
		}
		return no
	})
}

// take stores valid messages, unless the rate limit or a failing database prevents
// it.
func (g *Gateway) take(src *Source, r *http.Request, size int, messages []Message) *Refusal {
	if r.Header.Get("X-Rudder-Job-Run-Id") == "" && !g.Limiter.AllowN(time.Now(), len(messages)) {
		return TooMany
	}
	if no := g.outage("database", r, src.Key); no != nil {
		return no
	}
	g.Store(src, r, size, messages)
	return nil
}

// imports handles /v1/import: the messages of each user are a batch, so that a bad
// message of one user does not affect others. The texts of all refusals are joined,
// and more than one gives 500.
func (g *Gateway) imports(src *Source, r *http.Request, body string) *Refusal {
	batches, no := Groups(body)
	if no != nil {
		return no
	}
	var joined *Refusal
	for _, batch := range batches {
		messages, no := Batch(batch)
		if no == nil {
			no = g.take(src, r, len(batch), messages)
		}
		switch {
		case no == nil:
		case joined == nil:
			joined = no
		default:
			joined = &Refusal{http.StatusInternalServerError, joined.Text + no.Text}
		}
	}
	return joined
}

// webhookProbe answers a GET: 200 with a valid key.
func (g *Gateway) webhookProbe(w http.ResponseWriter, r *http.Request) {
	src, no := g.authenticate(r, KeyOfWebhook, true)
	if no != nil {
		g.respond(w, "", no)
		return
	}
	g.Answered(src.Key, http.StatusOK)
	w.WriteHeader(http.StatusOK)
}

// webhook handles requests of Braze. RudderStack checks in this order: the method, the
// key, the body (forms too), its size, the transformation, the checks of Batch for
// its result, the rate limit.
func (g *Gateway) webhook(src *Source, r *http.Request, body string) *Refusal {
	if WebhookSize(r, body) > MaxRequestBytes {
		return TooLarge
	}
	if no := g.outage("transformer", r, src.Key); no != nil {
		return no
	}
	out := Webhook(src.Mapper, body)
	if out.After > 0 {
		g.Pause(r.Context(), out.After)
	}
	if out.Closed {
		g.abort(src.Key)
	}
	if shared := g.spread.with(g, r, &out); shared != nil {
		return shared
	}
	if out.Refusal != nil {
		return out.Refusal
	}
	return g.take(src, r, len(body), out.Messages)
}

// spread is a refusal of the transformer for all requests of one call to it. It is
// safe for concurrent use.
type spread struct {
	mu    sync.Mutex
	until time.Time
	no    *Refusal
}

// transformerBatch is how long RudderStack collects webhook requests for one call to
// its transformer.
const transformerBatch = 20 * time.Millisecond

// with returns the refusal that a request shares with others of its batch, after the
// end of the batch, or nil.
func (b *spread) with(g *Gateway, r *http.Request, out *Outcome) *Refusal {
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
	g.Pause(r.Context(), rest)
	return no
}

// pixelImage is the response to every pixel call: a GIF of one transparent pixel.
const pixelImage = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

// pixel handles a call with the message in the query. The response is always the
// image; only a valid message is stored.
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
		g.Answered(key, http.StatusOK)
		w.Header().Set("Content-Type", "image/gif")
		_, _ = w.Write([]byte(pixelImage))
	}
}

// pixelMessage makes a message of a query. A dot in a name makes a nested object;
// every value is a string.
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
	text, _ := json.Marshal(message)
	return string(text)
}

type outageKey struct{}

// WithOutage makes parts of RudderStack fail for the requests of a context: the transformer as
// "down", "hang" or "error", the database as "down" or "locked"; "" is a part that works.
func WithOutage(ctx context.Context, transformer, database string) context.Context {
	return context.WithValue(ctx, outageKey{}, map[string]string{"transformer": transformer, "database": database})
}

// outages say how parts of RudderStack fail: after this time with a refusal, or without any
// response.
var outages = map[string]struct {
	after time.Duration
	no    *Refusal
}{
	"transformer down": {time.Second, &Refusal{http.StatusServiceUnavailable,
		`JS HTTP connection to source transformer (URL: http://localhost:9090/v2/sources/braze): ` +
			`Post "http://localhost:9090/v2/sources/braze": dial tcp 127.0.0.1:9090: connect: connection refused`}},
	"transformer hang":  {30 * time.Second, nil},
	"transformer error": {0, &Refusal{http.StatusInternalServerError, "internal server error in source transformer"}},
	"database down":     {0, &Refusal{http.StatusInternalServerError, "dial tcp 127.0.0.1:5432: connect: connection refused"}},
	"database locked":   {10 * time.Second, nil},
}

// outage is the response if a part of RudderStack fails, nil if it works.
func (g *Gateway) outage(part string, r *http.Request, key string) *Refusal {
	states, _ := r.Context().Value(outageKey{}).(map[string]string)
	if states[part] == "" {
		return nil
	}
	fails := outages[part+" "+states[part]]
	if fails.after > 0 {
		g.Pause(r.Context(), fails.after)
	}
	if fails.no == nil {
		g.abort(key)
	}
	return fails.no
}

// abort closes the connection without a response.
func (g *Gateway) abort(key string) {
	g.Answered(key, 0)
	panic(http.ErrAbortHandler)
}

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
