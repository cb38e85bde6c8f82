package mockrudder

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/mockrudder/brazesource"
	"github.com/currentsbridge/currentsbridge/mockrudder/internal/jsonscan"
)

// The webhook of a Braze source. RudderStack decides in this order: the method,
// the key, the body (forms too), its size, the transformation, and then what
// the HTTP API would say of the batch that came out of it.

// webhookProbe answers a GET: with a good key it is taken, and does nothing.
func (s *Server) webhookProbe(c *gin.Context) {
	src, no, ok := s.authenticate(c.Request, keyOfWebhook, true)
	if !ok {
		s.refuse(c, "", no)
		return
	}
	s.store.answered(src.key, http.StatusOK)
	c.Writer.WriteHeaderNow()
}

func (s *Server) webhook(c *gin.Context) {
	src, no, ok := s.authenticate(c.Request, keyOfWebhook, true)
	if !ok {
		s.refuse(c, "", no)
		return
	}
	body, no, ok := s.receive(c.Request, src)
	if !ok {
		s.refuse(c, src.key, no)
		return
	}
	events, no, ok := transform(src, body)
	if !ok {
		s.refuse(c, src.key, no)
		return
	}
	s.accept(src, c.Request, len(body), events)
	s.succeed(c, src.key)
}

// receive reads a request and takes it to the transformer.
func (s *Server) receive(r *http.Request, src *source) (body string, no refusal, ok bool) {
	body, no, ok = webhookBody(r)
	switch {
	case !ok:
		return "", no, false
	case len(body) > MaxRequestBytes:
		return "", tooLarge, false
	case !s.limiter.allow(time.Now()):
		return "", tooMany, false
	}
	if no, failed := s.transformer(r, src.key); failed {
		return "", no, false
	}
	return throughTransport(body)
}

// transform makes messages of a request body.
func transform(src *source, body string) (events []Event, no refusal, ok bool) {
	result, err := src.mapper.Transform(body, MaxRequestBytes)
	var refused *brazesource.Error
	switch {
	case errors.As(err, &refused):
		return nil, refusal{refused.Status, refused.Text}, false
	case err != nil:
		return nil, refusal{http.StatusInternalServerError, err.Error()}, false
	}
	return transformed(result)
}

// transformed is what the gateway makes of the batch that the transformation
// hands it: the checks of the HTTP API, the size last.
func transformed(result brazesource.Result) ([]Event, refusal, bool) {
	size := len(`{"batch":[]}`) + max(len(result.Messages)-1, 0) // the commas
	events := make([]Event, 0, len(result.Messages))
	for _, message := range result.Messages {
		found, _ := scanMessage(message.JSON, 0, 0)
		e, ok := newEvent(message.Raw, found)
		if !ok {
			return nil, noIdentity, false
		}
		e.finished = message.JSON
		events = append(events, e)
		size += len(message.JSON)
	}
	if result.TooLarge || size > MaxRequestBytes {
		return nil, tooLarge, false
	}
	return events, refusal{}, true
}

// webhookBody reads the body, and turns a form into the JSON that RudderStack
// makes of it: an object of lists of texts.
func webhookBody(r *http.Request) (body string, no refusal, ok bool) {
	r.Body = http.MaxBytesReader(nil, readCloser{unpacked(r), r.Body}, maxRead)
	kind := strings.ToLower(r.Header.Get("Content-Type"))
	var form any
	switch {
	case strings.Contains(kind, "application/x-www-form-urlencoded"):
		if err := r.ParseForm(); err != nil {
			return "", brokenForm, false
		}
		if len(r.PostForm) > 0 {
			form = map[string][]string(r.PostForm)
		}
	case strings.Contains(kind, "multipart/form-data"):
		if err := r.ParseMultipartForm(maxRead); err != nil {
			return "", brokenMultiform, false
		}
		form = map[string]url.Values{"Value": r.MultipartForm.Value}
	default:
		var err error
		if body, err = readAll(r.Body, r.ContentLength); err != nil {
			return "", unreadable(err), false
		}
	}
	if form != nil {
		text, err := json.Marshal(form)
		if err != nil {
			return "", brokenForm, false
		}
		body = string(text)
	}
	if body == "" {
		body = "{}"
	}
	return body, refusal{}, true
}

func unreadable(err error) refusal {
	var long *http.MaxBytesError
	if errors.As(err, &long) || errors.Is(err, errTooLong) {
		return tooLarge
	}
	return refusal{http.StatusInternalServerError, "reading request body: " + err.Error()}
}

type readCloser struct {
	read  interface{ Read([]byte) (int, error) }
	close interface{ Close() error }
}

func (r readCloser) Read(p []byte) (int, error) { return r.read.Read(p) }
func (r readCloser) Close() error               { return r.close.Close() }

// throughTransport does to a body what the way to the transformer does to it.
// RudderStack puts the body as a text into a JSON document, takes every \u0000
// out of that, and hands it on. The backslash before the one that goes stays
// behind and takes the next character with it, so that an event with a \u0000
// breaks the whole request.
func throughTransport(body string) (arrived string, no refusal, ok bool) {
	const nul = `\u0000`
	if !strings.Contains(body, nul) && strings.IndexByte(body, 0) < 0 {
		return body, refusal{}, true
	}
	document, err := json.Marshal(body)
	if err != nil {
		return "", invalidJSON, false
	}
	cleaned := strings.ReplaceAll(string(document), nul, "")
	if !jsonscan.Valid(cleaned) {
		return "", invalidJSON, false
	}
	return jsonscan.Text(cleaned), refusal{}, true
}
