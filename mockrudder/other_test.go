package mockrudder_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
)

func TestStaticPaths(t *testing.T) {
	s := server(t)
	get := func(path string) (text string, header http.Header) {
		answer := probe{method: http.MethodGet, path: path}.send(s)
		require.Equal(t, http.StatusOK, answer.Code)
		return answer.Body.String(), answer.Header()
	}
	for _, path := range []string{"/", "/health"} {
		text, _ := get(path)
		var health map[string]string
		require.NoError(t, json.Unmarshal([]byte(text), &health))
		for _, key := range []string{"appType", "server", "db", "acceptingEvents", "routingEvents", "mode", "backendConfigMode", "lastSync", "lastRegulationSync"} {
			require.Contains(t, health, key)
		}
		require.Len(t, health, 9)
	}
	text, _ := get("/version")
	require.Regexp(t, `^\{"BuildDate":".+","BuiltBy":".+","Commit":".*","Features":\["gzip-req-payload"\],"Version":"1.83.0"\}$`, text)
	text, header := get("/docs")
	require.Equal(t, "text/html; charset=utf-8", header.Get("Content-Type"))
	require.Contains(t, text, "<title>")
	text, _ = get("/robots.txt")
	require.Equal(t, "User-agent: * \nDisallow: / \n", text)
}

// The pixel answers with its image whatever comes; only a good message is stored.
func TestPixel(t *testing.T) {
	for query, want := range map[string]int{
		"writeKey=wkHTTP&event=E&userId=u":             1,
		"writeKey=wkHTTP&event=E":                      0,
		"writeKey=wkHTTP&userId=%20":                   0,
		"event=E&userId=u":                             0,
		"writeKey=nope&event=E&userId=u":               0,
		"writeKey=wkOffHTTP&event=E&userId=u":          0,
		"writeKey=wkHTTP&userId=u&properties.a.b=%22x": 1,
	} {
		s := server(t)
		answer := probe{method: http.MethodGet, path: "/pixel/v1/track?" + query}.send(s)
		require.Equal(t, http.StatusOK, answer.Code)
		require.Equal(t, "image/gif", answer.Header().Get("Content-Type"))
		require.Equal(t, 43, answer.Body.Len())
		require.Len(t, s.Events(mockrudder.Filter{Type: "track"}), want, query)
		if want == 1 {
			message := stored(t, s)
			require.Equal(t, "web", message["channel"])
			require.NotContains(t, message, "writeKey")
		}
	}
	s := server(t)
	probe{method: http.MethodGet, path: "/pixel/v1/page?writeKey=wkHTTP&userId=u&properties.a.b=1&properties.c=2&properties=x"}.send(s)
	require.Equal(t, map[string]any{"a": map[string]any{"b": "1"}, "c": "2"}, stored(t, s)["properties"])
}

// The bucket holds one event more than come in a window, and what asks for more
// at once never passes.
func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t, mockrudder.WithRateLimit(200), mockrudder.WithRateWindow(10*time.Second))
		send := func(events int) string {
			body := `{"batch":[` + strings.Repeat(`{"userId":"u"},`, events-1) + `{"userId":"u"}]}`
			return probe{path: batchPath, key: "wkHTTP", body: body}.answer(t, s)
		}
		const over = "429 max requests limit reached"
		require.Equal(t, over, send(300))
		require.Equal(t, over, send(202))
		require.Equal(t, "200 ok", send(201))
		require.Equal(t, over, send(1))
		require.Equal(t, "401 invalid write key", probe{path: batchPath, key: "x"}.answer(t, s), "the key comes first")
		time.Sleep(time.Second)
		require.Equal(t, "200 ok", send(20))
		require.Equal(t, over, send(1))
		time.Sleep(time.Hour)
		require.Equal(t, over, send(300))
		require.Equal(t, "200 ok", send(201), "the bucket holds a window's worth")
	})
}

func TestWrongOptions(t *testing.T) {
	for want, opt := range map[string]mockrudder.Option{
		"a source needs a write key":               mockrudder.WithSource("", mockrudder.Braze),
		`unknown kind "kafka"`:                     mockrudder.WithSource("k", "kafka"),
		"at least one message must be kept, not 0": mockrudder.WithKeep(0),
		"need some bytes":                          mockrudder.WithKeepBytes(0),
		"cannot be negative":                       mockrudder.WithRateLimit(-1),
		"window of a rate limit":                   mockrudder.WithRateWindow(0),
	} {
		_, err := mockrudder.New(opt)
		require.ErrorContains(t, err, want)
	}
	_, err := mockrudder.New(mockrudder.WithSource("k", mockrudder.Braze), mockrudder.WithSource("k", mockrudder.HTTP))
	require.ErrorContains(t, err, "source k is given twice")
}
