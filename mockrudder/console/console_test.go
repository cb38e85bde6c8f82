package console_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder/console"
)

func TestHandlerServesThePageAloneAndLetsItBeKept(t *testing.T) {
	handler := console.Handler()
	get := func(method, path, etag string) *httptest.ResponseRecorder {
		request := httptest.NewRequest(method, path, nil)
		request.Header.Set("If-None-Match", etag)
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		return answer
	}
	for path, kind := range map[string]string{
		"/_mock/":                "text/html; charset=utf-8",
		"/_mock/assets/main.js":  "text/javascript; charset=utf-8",
		"/_mock/assets/base.css": "text/css; charset=utf-8",
		"/_mock/assets/icon.svg": "image/svg+xml",
	} {
		answer := get(http.MethodGet, path, "")
		require.Equal(t, http.StatusOK, answer.Code, path)
		require.Equal(t, kind, answer.Header().Get("Content-Type"))
		require.Equal(t, "no-cache", answer.Header().Get("Cache-Control"))
		require.Contains(t, answer.Header().Get("Content-Security-Policy"), "default-src 'none'; script-src 'self';")
		require.NotContains(t, answer.Header().Get("Content-Security-Policy"), "unsafe")
		require.Equal(t, http.StatusNotModified, get(http.MethodGet, path, answer.Header().Get("ETag")).Code)
		require.Zero(t, get(http.MethodHead, path, "").Body.Len())
	}
	for _, path := range []string{"/_mock/assets/", "/_mock/assets/index.html", "/_mock/assets/../console.go", "/", "/_mock/other"} {
		require.Equal(t, http.StatusNotFound, get(http.MethodGet, path, "").Code, path)
	}
}

// The page needs the query API, and so mockrudder serves both.
func ExampleHandler() {
	server := httptest.NewServer(console.Handler())
	defer server.Close()
	answer, err := http.Get(server.URL + "/_mock/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	fmt.Println(answer.StatusCode, strings.Contains(string(page), "<title>mockrudder</title>"), err)
	// Output: 200 true <nil>
}
