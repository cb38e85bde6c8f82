package mockrudder_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// messages makes a batch body of these message ids.
func messages(ids ...string) string {
	text := ""
	for i, id := range ids {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(`{"userId":"u","messageId":"%s"}`, id)
	}
	return `{"batch":[` + text + `]}`
}

func storedIDs(s *mockrudder.Server) (ids []string) {
	for _, e := range s.Events(mockrudder.Filter{}) {
		ids = append(ids, e.MessageID)
	}
	return ids
}

func TestDedup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t, mockrudder.WithDedup(time.Hour, 0))
		send := func(key string, ids ...string) {
			require.Equal(t, "200 ok", probe{path: batchPath, key: key, body: messages(ids...)}.answer(t, s))
		}
		send("wkHTTP", "a", "b", "a")
		require.Equal(t, []string{"a", "b"}, storedIDs(s), "within a request")
		time.Sleep(59 * time.Minute)
		send("wkBraze", " a ", "c")
		require.Equal(t, []string{"a", "b", "c"}, storedIDs(s), "whatever the source, and trimmed")
		require.EqualValues(t, 2, s.Stats().Duplicates)
		require.EqualValues(t, 3, s.Stats().Stored)
		time.Sleep(time.Minute)
		send("wkHTTP", "a", "c")
		require.Equal(t, []string{"a", "b", "c", "a"}, storedIDs(s), "the window begins with the first one, and ends")
		s.Reset()
		send("wkHTTP", "a")
		require.Equal(t, []string{"a"}, storedIDs(s), "a reset forgets the ids")
		require.Zero(t, s.Stats().Duplicates)
	})
}

func TestDedupRemembersSoMany(t *testing.T) {
	s := server(t, mockrudder.WithDedup(time.Hour, 2))
	for _, id := range []string{"a", "b", "a", "c", "b", "a"} {
		probe{path: batchPath, key: "wkHTTP", body: messages(id)}.send(s)
	}
	require.Equal(t, []string{"a", "b", "c", "a"}, storedIDs(s), "c pushed a out, and b was still known")
}

// Without the option a message that is sent twice is there twice.
func TestNoDedup(t *testing.T) {
	s := server(t)
	probe{path: batchPath, key: "wkHTTP", body: messages("a", "a")}.send(s)
	require.Equal(t, []string{"a", "a"}, storedIDs(s))
}

func TestSuppression(t *testing.T) {
	s := server(t, mockrudder.WithSuppressedUsers("gone"))
	body := `{"batch":[{"userId":"gone","messageId":"1"},{"userId":"here","messageId":"2"},{"anonymousId":"gone","messageId":"3"}]}`
	require.Equal(t, "200 ok", probe{path: batchPath, key: "wkHTTP", body: body}.answer(t, s))
	require.Equal(t, []string{"2", "3"}, storedIDs(s))
	require.EqualValues(t, 1, s.Stats().Suppressed)
	require.Equal(t, "200 ok", probe{path: "/v1/track", key: "wkHTTP", body: `{"userId":"gone"}`}.answer(t, s))
	require.Len(t, storedIDs(s), 2)

	require.Equal(t, `200 {"users":["gone"]}`, probe{method: "GET", path: "/_mock/suppressions"}.answer(t, s))
	require.Equal(t, `200 {"users":["a","here"]}`, probe{method: "PUT", path: "/_mock/suppressions", body: `{"users":["here","a"]}`}.answer(t, s))
	s.Reset()
	probe{path: batchPath, key: "wkHTTP", body: body}.send(s)
	require.Equal(t, []string{"1", "3"}, storedIDs(s), "a reset leaves them suppressed")
	for _, body := range []string{``, `{}`, `{"users":[""]}`, `{"user":[]}`, `[]`, `{"users":["x"]} {}`} {
		require.Equal(t, 400, probe{method: "PUT", path: "/_mock/suppressions", body: body}.send(s).Code, body)
	}
	require.Equal(t, 200, probe{method: "PUT", path: "/_mock/suppressions", body: `{"users":[]}`}.send(s).Code)
	require.Equal(t, `200 {"users":[]}`, probe{method: "GET", path: "/_mock/suppressions"}.answer(t, s))
}

// What is kept out is kept from the observer and the recording too, and the
// checks of a request come first.
func TestKeptOutIsNowhere(t *testing.T) {
	var seen []string
	var lines lineWriter
	s := server(t, mockrudder.WithSuppressedUsers("gone"), mockrudder.WithRecording(&lines),
		mockrudder.WithObserver(func(e mockrudder.Event) { seen = append(seen, e.UserID) }))
	probe{path: batchPath, key: "wkHTTP", body: `{"batch":[{"userId":"gone"},{"userId":"here"}]}`}.send(s)
	require.Equal(t, []string{"here"}, seen)
	require.Len(t, lines.all, 1)
	require.Equal(t, "400 request neither has anonymousId nor userId",
		probe{path: batchPath, key: "wkHTTP", body: `{"batch":[{"userId":"gone"},{}]}`}.answer(t, s))
}

// lineWriter keeps what is written, and fails from a number of writes on.
type lineWriter struct {
	all    []string
	failAt int
}

func (l *lineWriter) Write(p []byte) (int, error) {
	if l.failAt > 0 && len(l.all) >= l.failAt {
		return 0, errDiskFull
	}
	l.all = append(l.all, string(p))
	return len(p), nil
}

var errDiskFull = errors.New("the disk is full")

func TestRecording(t *testing.T) {
	lines := lineWriter{failAt: 2}
	s := server(t, mockrudder.WithRecording(&lines), mockrudder.WithKeep(1))
	send := func() {
		require.Equal(t, "200 ok", probe{path: batchPath, key: "wkHTTP", body: messages("a", "b")}.answer(t, s))
	}
	send()
	require.Len(t, lines.all, 1, "a write for a request")
	var first, second struct {
		ID      string
		Raw     string
		Message struct{ MessageID string }
	}
	decoder := json.NewDecoder(strings.NewReader(lines.all[0]))
	require.NoError(t, decoder.Decode(&first))
	require.NoError(t, decoder.Decode(&second))
	require.Equal(t, "1", first.ID)
	require.Equal(t, `{"userId":"u","messageId":"a"}`, first.Raw)
	require.Equal(t, "b", second.Message.MessageID, "also what is no longer kept")
	send()
	require.NoError(t, s.RecordingError())
	send()
	require.ErrorIs(t, s.RecordingError(), errDiskFull)
	lines.failAt = 0
	send()
	require.Len(t, lines.all, 2, "no gap: nothing comes after an error")
	require.EqualValues(t, 8, s.Stats().Stored)
	require.NoError(t, server(t).RecordingError())
}

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

// A request with everything wrong is refused for one thing after the other, in
// the order in which RudderStack decides.
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
		s := server(t, mockrudder.WithRateLimit(1))
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
			s := server(t, mockrudder.WithRateLimit(1))
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

// The rate limit holds for every way in; the pixel answers as ever and stores
// nothing.
func TestRateLimitIsEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t, mockrudder.WithRateLimit(1))
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

// An answer to a page of another origin says that it may be read.
func TestCORS(t *testing.T) {
	s := server(t)
	for _, p := range []probe{
		{path: batchPath, key: "wkHTTP", body: goodBatch},
		{path: webhookPath, body: brazeEvent(`{}`)},
		{path: "/v1/track"},
		{path: "/nope"},
		{method: http.MethodGet, path: "/pixel/v1/track"},
		{method: http.MethodGet, path: "/version"},
	} {
		require.Equal(t, "Origin", p.send(s).Header().Get("Vary"), p.path)
		p.headers = []string{"Origin", "https://shop.example"}
		header := p.send(s).Header()
		require.Equal(t, "https://shop.example", header.Get("Access-Control-Allow-Origin"), p.path)
		require.Equal(t, "true", header.Get("Access-Control-Allow-Credentials"), p.path)
	}
	preflight := probe{method: http.MethodOptions, path: "/beacon/v1/batch",
		headers: []string{"Origin", "https://shop.example", "Access-Control-Request-Method", "POST"}}.send(s)
	require.Equal(t, 204, preflight.Code)
	require.Equal(t, "POST", preflight.Header().Get("Access-Control-Allow-Methods"))
	require.EqualValues(t, 4, s.Stats().Stored, "two good requests, each sent twice, and no preflight")
}
