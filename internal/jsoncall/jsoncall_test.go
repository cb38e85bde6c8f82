package jsoncall

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDo(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/echo":
			_, _ = w.Write(body)
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/conflict":
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"error":"it is paused","what_to_do":"Launch it."}`)
		default:
			http.Error(w, "no such path", http.StatusNotFound)
		}
	}))
	defer server.Close()

	var got struct{ N int }
	require.NoError(t, Do(t.Context(), http.MethodPost, server.URL+"/echo", map[string]int{"n": 7}, &got))
	require.Equal(t, 7, got.N)
	require.NoError(t, Do(t.Context(), http.MethodPost, server.URL+"/none", nil, nil))

	err := Do(t.Context(), http.MethodGet, server.URL+"/conflict", nil, &got)
	var status *StatusError
	require.ErrorAs(t, err, &status)
	require.Equal(t, StatusError{http.StatusConflict, "it is paused. Launch it."}, *status)
	require.ErrorContains(t, err, server.URL+"/conflict")
	require.ErrorContains(t, Do(t.Context(), http.MethodGet, server.URL+"/x", nil, nil), "404 Not Found: no such path")
	require.ErrorContains(t, Do(t.Context(), http.MethodGet, server.URL+"/none", nil, &got), "read the answer")
	require.Error(t, Do(t.Context(), http.MethodGet, server.URL+"/echo", make(chan int), nil))
	server.Close()
	require.Error(t, Do(t.Context(), http.MethodGet, server.URL+"/echo", nil, nil))
}
