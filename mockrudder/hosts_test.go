package mockrudder_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// The query API does not answer to a name that could be anybody's, nor to pages
// from elsewhere; the gateway answers to every name, as RudderStack does.
func TestQueryAPIKnowsItsOwnPages(t *testing.T) {
	s := server(t, mockrudder.WithAllowedHosts("rudder.staging.example.com"))
	ask := func(method, path, host, origin string) (int, string) {
		request := httptest.NewRequest(method, path, strings.NewReader(`{"batch":[{"userId":"u","type":"track","event":"E"}]}`))
		request.Host = host
		request.SetBasicAuth("wkHTTP", "")
		if origin != "" {
			request.Header.Set("Origin", origin)
		}
		answer := httptest.NewRecorder()
		s.ServeHTTP(answer, request)
		return answer.Code, answer.Body.String()
	}
	code, text := ask("POST", batchPath, "evil.example.com", "http://evil.example.com")
	require.Equal(t, 200, code, text)
	for _, path := range []string{"/_mock/", "/_mock/assets/main.js", "/_mock/events", "/_mock/stream", "/_mock/nothing"} {
		code, text = ask("GET", path, "evil.example.com:8090", "")
		require.Equal(t, 403, code, path)
		require.Contains(t, text, "--allow-host")
	}
	for host, origin := range map[string]string{"evil.example.com": "http://evil.example.com", "localhost": "http://evil.example.com"} {
		code, _ = ask("POST", "/_mock/reset", host, origin)
		require.Equal(t, 403, code, host)
	}
	require.EqualValues(t, 1, s.Count(mockrudder.Filter{}), "nothing was reset")
	for _, host := range []string{"localhost:8090", "[::1]:8090", "mockrudder:8090", "rudder.staging.example.com"} {
		code, text = ask("GET", "/_mock/events", host, "")
		require.Equal(t, 200, code, "%s: %s", host, text)
		code, _ = ask("POST", "/_mock/reset", host, "http://"+host)
		require.Equal(t, 200, code, host)
	}

	_, err := mockrudder.New(mockrudder.WithAllowedHosts("a.b:80"))
	require.ErrorContains(t, err, "--allow-host")
}
