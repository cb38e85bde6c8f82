package mockbraze

import (
	_ "embed" // for openapi.json
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/mockbraze/console"
)

// Limits of the control API.
const (
	maxRequestBody = 1 << 20
	// maxSend is how many events one send may ask for.
	maxSend = 10_000_000
	// sendWait is how long a send waits for its answers before it is answered
	// 202 and goes on by itself.
	sendWait = 20 * time.Second
)

// api is the control API of a Server.
type api struct {
	server   *Server
	patience time.Duration // how long a send waits for its answers
	page     http.Handler
}

// Handler is the page at / and the control API, which /api/openapi.json
// describes: POST /api/currents makes a Current, POST
// /api/currents/ID/launch, …/pause and …/send?events=N run it, GET
// /api/currents and /api/currents/ID show how it stands. Answers are JSON; an
// error says what is wrong and what to do. It asks nobody for a password:
// serve it on loopback only. What a browser sends for a page from elsewhere is
// answered 403, also where that page had a name of its own lead here; see
// WithAllowedHosts.
func (s *Server) Handler() http.Handler {
	return api{server: s, patience: sendWait, page: console.Handler()}.routes()
}

// route is one operation of the control API; params are the query parameters
// that it takes.
type route struct {
	method, path string
	params       []string
	do           gin.HandlerFunc
}

func (a api) table() []route {
	return []route{
		{"GET", "/api/currents", nil, a.list},
		{"POST", "/api/currents", nil, a.create},
		{"POST", "/api/currents/test", nil, a.testForm},
		{"GET", "/api/currents/:id", nil, a.with(a.show)},
		{"PATCH", "/api/currents/:id", nil, a.with(a.change)},
		{"DELETE", "/api/currents/:id", nil, a.with(a.remove)},
		{"POST", "/api/currents/:id/test", nil, a.with(a.test)},
		{"POST", "/api/currents/:id/launch", nil, a.with(a.launch)},
		{"POST", "/api/currents/:id/pause", nil, a.with(a.pause)},
		{"POST", "/api/currents/:id/flush", nil, a.with(a.flush)},
		{"POST", "/api/currents/:id/send", []string{"events", "count", "types", "scenario"}, a.with(a.send)},
		{"GET", "/api/currents/:id/seconds", nil, a.with(a.seconds)},
		{"GET", "/api/event-types", nil, a.eventTypes},
		{"GET", "/api/stream", []string{"id"}, a.stream},
		{"GET", "/api/openapi.json", nil, describe},
	}
}

func (a api) routes() http.Handler {
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.RedirectTrailingSlash = false // gin redirects with a page in HTML
	e.Use(gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, _ any) {
		fail(c, http.StatusInternalServerError, errors.New("mockbraze failed on this request"), "Report it with the request that you sent.")
	}), a.ownPages, headers)
	e.NoRoute(func(c *gin.Context) {
		if a.page != nil && !strings.HasPrefix(c.Request.URL.Path, "/api/") {
			c.Writer.WriteHeader(http.StatusOK) // gin begins with 404 here; the page decides anew
			a.page.ServeHTTP(c.Writer, c.Request)
			return
		}
		fail(c, http.StatusNotFound, fmt.Errorf("no such path: %s", c.Request.URL.Path), "Start with GET or POST /api/currents; /api/openapi.json lists everything.")
	})
	e.NoMethod(func(c *gin.Context) {
		fail(c, http.StatusMethodNotAllowed, fmt.Errorf("%s is not allowed here", c.Request.Method), "Allowed: "+c.Writer.Header().Get("Allow")+".")
	})
	for _, r := range a.table() {
		e.Handle(r.method, r.path, knownParams(r.params), r.do)
	}
	return e
}

// ownPages turns down what pages of other sites send through a browser.
func (a api) ownPages(c *gin.Context) {
	if no := a.server.hosts.Check(c.Request); no != nil {
		fail(c, http.StatusForbidden, errors.New(no.Reason), no.Remedy)
	}
}

func headers(c *gin.Context) {
	c.Header("Cache-Control", "no-store")
	c.Header("X-Content-Type-Options", "nosniff")
}

// knownParams turns down a query parameter that an operation does not take.
func knownParams(known []string) gin.HandlerFunc {
	return func(c *gin.Context) {
		for name := range c.Request.URL.Query() {
			if !slices.Contains(known, name) {
				todo := "It takes none."
				if len(known) > 0 {
					todo = "It takes " + strings.Join(known, ", ") + "."
				}
				fail(c, http.StatusBadRequest, fmt.Errorf("there is no parameter %q here", name), todo)
				return
			}
		}
	}
}

//go:embed openapi.json
var openAPI []byte

func describe(c *gin.Context) { c.Data(http.StatusOK, "application/json; charset=utf-8", openAPI) }

// fail answers with an error and what to do about it.
func fail(c *gin.Context, status int, err error, todo string) {
	c.AbortWithStatusJSON(status, gin.H{"error": err.Error(), "what_to_do": todo})
}

// decode reads a JSON body into v; an empty one leaves v as it is.
func decode(c *gin.Context, v any) error {
	dec := json.NewDecoder(http.MaxBytesReader(c.Writer, c.Request.Body, maxRequestBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("the body cannot be read: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the body cannot be read: there is something behind the JSON object")
	}
	return nil
}

// with finds the Current that the path names.
func (a api) with(do func(*gin.Context, *Connector)) gin.HandlerFunc {
	return func(c *gin.Context) {
		current, ok := a.server.Current(c.Param("id"))
		if !ok {
			fail(c, http.StatusNotFound, fmt.Errorf("there is no Current %q", c.Param("id")), "GET /api/currents lists them.")
			return
		}
		do(c, current)
	}
}
