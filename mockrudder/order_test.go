package mockrudder_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// step is a request with one mistake less than the one before.
type step struct {
	probe  probe
	rested bool // after time enough for the rate limit
	want   string
}

func (s step) run(t *testing.T, server *mockrudder.Server) {
	t.Helper()
	if s.rested {
		time.Sleep(time.Minute)
	}
	require.Equal(t, s.want, s.probe.answer(t, server))
}

// A request with all errors is refused for one after the other, in the order in which
// RudderStack checks.
func TestOrderOfDecisionsWebhook(t *testing.T) {
	const (
		hook  = "/v1/webhook?writeKey="
		blank = `{"event_type":"t","user":{"user_id":" "}}`
		huge  = `{"event_type":"t","user":{"user_id":"u"},"properties":{"900000":1}}`
	)
	gzip := []string{"Content-Encoding", "gzip"}
	large := func(text string) string { return pad(text, mockrudder.MaxRequestBytes+1) }
	good := func(events int) string {
		return `{"events":[` + strings.Repeat(`{"event_type":"t","user":{"user_id":"u"}},`, events-1) + `{"event_type":"t","user":{"user_id":"u"}}]}`
	}
	synctest.Test(t, func(t *testing.T) {
		s := server(t, mockrudder.WithRateLimit(1, time.Second))
		require.NoError(t, s.Fault(mockrudder.Fault{Transformer: mockrudder.TransformerError, Nth: 8, Path: "/v1/webhook"}))
		for _, step := range []step{
			{probe{path: "/v1/webhook/", body: "{"}, false, "404 404 page not found"},
			{probe{path: "/v1//webhook", body: "{"}, false, "404 404 page not found"},
			{probe{path: "/v1/webhook", method: http.MethodPut, body: "{", headers: gzip}, false, "405 "},
			{probe{path: "/v1/webhook", body: "{", headers: gzip}, false, "401 failed to read writekey from query params"},
			{probe{path: hook + "nope", body: "{", headers: gzip}, false, "401 invalid write key"},
			{probe{path: hook + "wkOffHTTP", body: "{", headers: gzip}, false, "401 invalid write key"},
			{probe{path: hook + "wkOffBraze", body: "{", headers: gzip}, false, "404 source is disabled"},
			{probe{path: hook + "wkBraze", body: "not gzip at all", headers: gzip}, false, "500 reading request body: gzip: invalid header"},
			{probe{path: hook + "wkBraze", body: large("{")}, false, "413 request size exceeds max limit"},
			{probe{path: hook + "wkBraze", body: "{"}, false, "500 internal server error in source transformer"},
			{probe{path: hook + "wkBraze", body: "{"}, false, "400 Malformed JSON in request body"},
			{probe{path: hook + "wkBraze", body: `{"events":{}}`}, false, "400 eventList should be an array"},
			{probe{path: hook + "wkBraze", body: `{"events":[{}]}`}, false, "400 All requests in the batch failed"},
			{probe{path: hook + "wkBraze", body: `{"events":[` + huge + `,` + blank + `]}`}, false, "400 request neither has anonymousId nor userId"},
			{probe{path: hook + "wkBraze", body: `{"events":[` + huge + `]}`}, false, "413 request size exceeds max limit"},
			{probe{path: hook + "wkBraze", body: good(3)}, false, "429 max requests limit reached"},
			{probe{path: hook + "wkBraze", body: good(2)}, false, "200 ok"},
			{probe{path: hook + "wkBraze", body: good(1)}, false, "429 max requests limit reached"},
			{probe{path: hook + "wkBraze", body: good(1)}, true, "200 ok"},
		} {
			step.run(t, s)
		}
		require.Len(t, s.Events(mockrudder.Filter{}), 3)
	})
}

func TestOrderOfDecisionsBatch(t *testing.T) {
	gzip := []string{"Content-Encoding", "gzip"}
	large := strings.Repeat(" ", mockrudder.MaxRequestBytes)
	for path, c := range map[string]struct {
		key     func(p probe, key string) probe
		missing string
	}{
		batchPath: {func(p probe, key string) probe { p.key = key; return p }, "401 failed to read writekey from header"},
		"/beacon/v1/batch": {func(p probe, key string) probe { p.path += "?writeKey=" + key; return p },
			"401 failed to read writekey from query params"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := server(t, mockrudder.WithRateLimit(1, time.Second))
			with := func(key, body string, headers ...string) probe {
				return c.key(probe{path: path, body: body, headers: headers}, key)
			}
			for _, step := range []step{
				{probe{path: path + "/", body: "{"}, false, "404 404 page not found"},
				{probe{path: path, method: http.MethodGet, headers: gzip}, false, "405 "},
				{with("", "{", gzip...), false, c.missing},
				{with("nope", "{", gzip...), false, "401 invalid write key"},
				{with("wkOffBraze", "{", gzip...), false, "404 source is disabled"},
				{with("wkHTTP", "not gzip at all", gzip...), false, "500 failed to read body from request"},
				{with("wkHTTP", "{"), false, "400 invalid json"},
				{with("wkHTTP", "{"+large), false, "400 invalid json"},
				{with("wkHTTP", "{}"+large), false, "400 empty batch payload"},
				{with("wkHTTP", `{"batch":[5,{"n":1e999}]}`+large), false, "400 event is not a valid rudder event"},
				{with("wkHTTP", `{"batch":[{"n":1e999},5]}`+large), false, "400 request neither has anonymousId nor userId"},
				{with("wkHTTP", `{"batch":[{"userId":1e999}]}`+large), false, "413 request size exceeds max limit"},
				{with("wkHTTP", `{"batch":[{"userId":1e999}]}`), false, "400 invalid json"},
				{with("wkHTTP", goodBatch), false, "200 ok"},
				{with("wkHTTP", goodBatch), false, "200 ok"},
				{with("wkHTTP", goodBatch), false, "429 max requests limit reached"},
				{with("wkHTTP", goodBatch, "X-Rudder-Job-Run-Id", "r"), false, "200 ok"},
				{with("wkHTTP", goodBatch), true, "200 ok"},
			} {
				step.run(t, s)
			}
			require.Len(t, s.Events(mockrudder.Filter{}), 4)
		})
	}
}

// The rate limit applies to every path. The pixel answers as before but stores nothing.
func TestRateLimitOfAllPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t, mockrudder.WithRateLimit(1, time.Second))
		for range 2 {
			require.Equal(t, "200 ok", probe{path: batchPath, key: "wkHTTP", body: goodBatch}.answer(t, s))
		}
		for path, body := range map[string]string{
			batchPath: goodBatch, "/v1/import": goodBatch, "/v1/track": `{"userId":"u"}`, "/v1/identify": `{"userId":"u"}`,
			"/beacon/v1/batch?writeKey=wkHTTP": goodBatch, webhookPath: brazeEvent(`{}`),
		} {
			require.Equal(t, "429 max requests limit reached", probe{path: path, key: "wkHTTP", body: body}.answer(t, s), path)
		}
		require.Equal(t, 200, probe{method: http.MethodGet, path: "/pixel/v1/track?writeKey=wkHTTP&userId=u&event=E"}.send(s).Code)
		require.Len(t, s.Events(mockrudder.Filter{}), 2)
		for _, path := range []string{"/health", "/version", "/robots.txt", "/_mock/stats"} {
			require.Equal(t, 200, probe{method: http.MethodGet, path: path}.send(s).Code, path)
		}
	})
}
