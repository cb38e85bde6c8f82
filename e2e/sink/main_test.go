package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func ask(t *testing.T, gzip bool, method, path string) (int, string) {
	t.Helper()
	server := httptest.NewServer(newHandler(gzip))
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(`{"batch":[{}]}`))
	require.NoError(t, err)
	res, err := server.Client().Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(text)
}

func TestAnswersAsRudderStack(t *testing.T) {
	for _, c := range []struct {
		method, path, body string
		status             int
		gzip               bool
	}{
		{http.MethodPost, "/v1/batch", "ok", http.StatusOK, true},
		{http.MethodGet, "/version", `{"Features":["gzip-req-payload"]}`, http.StatusOK, true},
		{http.MethodGet, "/version", `{"Features":[]}`, http.StatusOK, false},
		{http.MethodGet, "/health", `{"server":"UP","acceptingEvents":"TRUE"}`, http.StatusOK, true},
		{http.MethodGet, "/v1/batch", "Method Not Allowed\n", http.StatusMethodNotAllowed, true},
		{http.MethodPost, "/v1/webhook", "404 page not found\n", http.StatusNotFound, true},
	} {
		status, body := ask(t, c.gzip, c.method, c.path)
		require.Equal(t, c.status, status, c.path)
		require.Equal(t, c.body, body, c.path)
	}
}

func TestWrongAddress(t *testing.T) {
	root := newRoot()
	root.SetArgs([]string{"--listen", "nowhere"})
	root.SilenceErrors, root.SilenceUsage = true, true
	require.ErrorContains(t, root.ExecuteContext(t.Context()), "--listen")
}
