package bridge

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

type stack struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	bodies []string
	paths  []string
	auth   []string
}

func newStack(t *testing.T) *stack {
	s := unstarted(t)
	s.Start()
	return s
}

func newTLSStack(t *testing.T) *stack {
	s := unstarted(t)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	s.StartTLS()
	return s
}

func unstarted(t *testing.T) *stack {
	s := &stack{status: http.StatusOK}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost { // it is asked what it can do
			http.NotFound(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.status == http.StatusOK && !strings.HasSuffix(string(body), ":[]}") {
			key, _, _ := r.BasicAuth()
			s.bodies = append(s.bodies, string(body))
			s.paths = append(s.paths, r.URL.String())
			s.auth = append(s.auth, key)
		}
		// The words are RudderStack's own: they are what the bridge goes by.
		switch empty := string(body) == `{"batch":[]}` || string(body) == `{"events":[]}`; {
		case empty && s.status < 401:
			http.Error(w, "empty batch payload", http.StatusBadRequest)
		case s.status == http.StatusOK:
			_, _ = io.WriteString(w, "ok")
		case s.status == http.StatusBadRequest:
			http.Error(w, "request neither has anonymousId nor userId", s.status)
		default:
			w.WriteHeader(s.status)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *stack) answer(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

func (s *stack) items(t *testing.T, key string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, body := range s.bodies {
		var lists map[string][]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(body), &lists), body)
		for _, item := range lists[key] {
			out = append(out, string(item))
		}
	}
	return out
}
