package mockrudder

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/mockrudder/console"
)

// The query API under /_mock/. Errors are JSON, {"error":"…"}. What it offers
// is told by openapi.json, which a test holds against the routes below.

//go:embed openapi.json
var openAPI string

// route is one call of the query API.
type route struct {
	method, path string
	params       []string // of the query; others are mistakes
	handle       gin.HandlerFunc
}

func (s *Server) queries() []route {
	return []route{
		{http.MethodGet, "/_mock/events", listParams(), s.getEvents},
		{http.MethodGet, "/_mock/events/:id", nil, s.getEvent},
		{http.MethodGet, "/_mock/stream", streamParams(), s.getStream},
		{http.MethodGet, "/_mock/stats", nil, s.getStats},
		{http.MethodGet, "/_mock/rates", []string{"seconds"}, s.getRates},
		{http.MethodGet, "/_mock/sources", nil, s.getSources},
		{http.MethodPost, "/_mock/reset", []string{"keep"}, s.postReset},
		{http.MethodGet, "/_mock/faults", nil, s.getFaults},
		{http.MethodPut, "/_mock/faults", nil, s.putFaults},
		{http.MethodPost, "/_mock/faults", nil, s.postFault},
		{http.MethodDelete, "/_mock/faults/:id", nil, s.deleteFault},
		{http.MethodGet, "/_mock/suppressions", nil, s.getSuppressions},
		{http.MethodPut, "/_mock/suppressions", nil, s.putSuppressions},
		{http.MethodGet, "/_mock/openapi.json", nil, getOpenAPI},
	}
}

func (s *Server) queryRoutes() http.Handler {
	engine := newEngine()
	engine.Use(s.ownPages)
	for _, r := range s.queries() {
		engine.Handle(r.method, r.path, known(r.params), r.handle)
	}
	page, read := gin.WrapH(console.Handler()), []string{http.MethodGet, http.MethodHead}
	engine.Match(read, "/_mock/", page).Match(read, "/_mock/assets/*file", page)
	engine.NoRoute(func(c *gin.Context) { writeError(c.Writer, http.StatusNotFound, "no such path") })
	engine.NoMethod(func(c *gin.Context) { writeError(c.Writer, http.StatusMethodNotAllowed, "no such method here") })
	return engine
}

// ownPages refuses what pages of other sites send through a browser.
func (s *Server) ownPages(c *gin.Context) {
	if no := s.config.hosts.Check(c.Request); no != nil {
		writeError(c.Writer, http.StatusForbidden, no.Error())
		c.Abort()
	}
}

// known refuses a query with other parameters than these.
func known(params []string) gin.HandlerFunc {
	return func(c *gin.Context) {
		values, err := url.ParseQuery(c.Request.URL.RawQuery)
		if err != nil {
			writeError(c.Writer, http.StatusBadRequest, "query: "+err.Error())
			c.Abort()
			return
		}
		for name := range values {
			if slices.Contains(params, name) {
				continue
			}
			text := fmt.Sprintf("unknown parameter %q; there are none here", name)
			if len(params) > 0 {
				text = fmt.Sprintf("unknown parameter %q; known are %s", name, strings.Join(params, ", "))
			}
			writeError(c.Writer, http.StatusBadRequest, text)
			c.Abort()
			return
		}
	}
}

func writeError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, map[string]string{"error": text})
}

func getOpenAPI(c *gin.Context) {
	c.Writer.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = io.WriteString(c.Writer, openAPI)
}

func (s *Server) getStats(c *gin.Context) { writeJSON(c.Writer, http.StatusOK, s.Stats()) }

func (s *Server) getRates(c *gin.Context) {
	const usual = 60
	seconds, err := numberOf("seconds", c.Query("seconds"), 1, rateSeconds)
	if err != nil {
		writeError(c.Writer, http.StatusBadRequest, err.Error())
		return
	}
	if c.Query("seconds") == "" {
		seconds = usual
	}
	writeJSON(c.Writer, http.StatusOK, map[string][]second{"seconds": s.store.lastSeconds(time.Now(), seconds)})
}

// sourceJSON is what the query API says of a source.
type sourceJSON struct {
	Key      string `json:"key"`
	Kind     Kind   `json:"kind"`
	Disabled bool   `json:"disabled"`
}

func (s *Server) getSources(c *gin.Context) {
	list := []sourceJSON{}
	for _, src := range s.config.sources {
		list = append(list, sourceJSON{src.key, src.kind, src.disabled})
	}
	slices.SortFunc(list, func(a, b sourceJSON) int { return strings.Compare(a.Key, b.Key) })
	writeJSON(c.Writer, http.StatusOK, map[string][]sourceJSON{"sources": list})
}

func (s *Server) postReset(c *gin.Context) {
	switch keep := c.Query("keep"); keep {
	case "":
		s.Reset()
	case "faults":
		s.ResetMessages()
	default:
		writeError(c.Writer, http.StatusBadRequest, fmt.Sprintf("keep must be faults, not %q", keep))
		return
	}
	writeJSON(c.Writer, http.StatusOK, map[string]bool{"ok": true})
}

// suppressions is the list of suppressed users in the query API.
type suppressions struct {
	Users []string `json:"users"`
}

func (s *Server) getSuppressions(c *gin.Context) {
	writeJSON(c.Writer, http.StatusOK, suppressions{s.admits.users()})
}

func (s *Server) putSuppressions(c *gin.Context) {
	const maxUsers = 16 << 20 // bytes
	var list suppressions
	err := decodeStrictly(http.MaxBytesReader(c.Writer, c.Request.Body, maxUsers), &list)
	if err == nil && (list.Users == nil || slices.Contains(list.Users, "")) {
		err = errors.New(`want {"users":["id",…]}, no id empty`)
	}
	if err != nil {
		writeError(c.Writer, http.StatusBadRequest, "suppressions: "+err.Error())
		return
	}
	s.Suppress(list.Users...)
	writeJSON(c.Writer, http.StatusOK, suppressions{s.admits.users()})
}
