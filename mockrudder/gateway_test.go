package mockrudder_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/fixtures"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// recordedSources are the sources of the server that the cases were recorded on.
func recordedSources() []mockrudder.Option {
	return []mockrudder.Option{
		mockrudder.WithSource("wkBraze", mockrudder.Braze),
		mockrudder.WithSource("wkBrazeMap", mockrudder.Braze, mockrudder.Renamed(map[string]string{
			"users.behaviors.CustomEvent": "Custom Event",
			"users.messages.email.Open":   "Email Opened",
		})),
		mockrudder.WithSource("wkHTTP", mockrudder.HTTP),
		mockrudder.WithSource("wkOffBraze", mockrudder.Braze, mockrudder.Disabled()),
		mockrudder.WithSource("wkOffHTTP", mockrudder.HTTP, mockrudder.Disabled()),
	}
}

// Every recorded response of a real gateway: status, headers, body and stored messages.
func TestRecordedAnswers(t *testing.T) {
	cases, err := fixtures.GatewayCases()
	require.NoError(t, err)
	require.Len(t, cases, 119+133)
	for _, c := range cases {
		t.Run(c.Group+"/"+c.Name, func(t *testing.T) {
			rudder := mockrudder.Start(t, recordedSources()...)
			answer, text := exchange(t, rudder, c)
			require.Equal(t, c.Want.Status, answer.StatusCode, "%s", text)
			if c.Want.ContentType == nil {
				require.Empty(t, answer.Header.Values("Content-Type"))
			} else {
				require.Equal(t, *c.Want.ContentType, answer.Header.Get("Content-Type"))
			}
			if c.Want.Body != nil {
				want := *c.Want.Body
				if digits, ok := strings.CutPrefix(want, "hex:"); ok {
					bytes, err := hex.DecodeString(digits)
					require.NoError(t, err)
					want = string(bytes)
				}
				require.Equal(t, want, text)
			}
			for name, want := range c.Want.Headers {
				require.Equal(t, want, joined(answer.Header.Values(name)), name)
			}
			require.EqualValues(t, c.Want.Stored, rudder.Count(mockrudder.Filter{}))
			events := rudder.Events(mockrudder.Filter{})
			require.Len(t, events, c.Want.Stored)
			for i, want := range c.Want.Messages {
				requireStored(t, string(want), events[i].Message())
			}
		})
	}
}

// answerCase is a case that is not recorded. In its body … stands for so much of Fill
// that the body has Size bytes.
type answerCase struct {
	Name, Method, Path, Key, Body, Fill, Want string

	Headers      []string
	Size, Stored int
	Rested       bool // after time enough for the rate limit
}

func answerCases(t *testing.T, file string) (cases []answerCase) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file + ".jsonl")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		var c answerCase
		require.NoError(t, json.Unmarshal([]byte(line), &c))
		cases = append(cases, c)
	}
	return cases
}

func (c answerCase) require(t *testing.T, s *mockrudder.Server) {
	t.Helper()
	body := strings.Replace(c.Body, "…", strings.Repeat(c.Fill, max(0, c.Size-len(c.Body)+len("…"))), 1)
	require.Equal(t, c.Want, probe{method: c.Method, path: c.Path, key: c.Key, body: body, headers: c.Headers}.answer(t, s), "%.200s", c.Body)
}

func TestAnswers(t *testing.T) {
	for _, c := range answerCases(t, "answers") {
		t.Run(c.Name, func(t *testing.T) {
			s := server(t)
			c.require(t, s)
			require.Len(t, s.Events(mockrudder.Filter{}), c.Stored)
		})
	}
}

// exchange sends a recorded request as it was sent, byte for byte.
func exchange(t *testing.T, rudder *mockrudder.Server, c fixtures.GatewayCase) (answer *http.Response, text string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(rudder.URL, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", c.Method, c.Path)
	framed := false
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		head += name + ": " + c.Headers[name] + "\r\n"
		framed = framed || slices.Contains([]string{"Content-Length", "Transfer-Encoding"}, name)
	}
	body := ""
	if c.Body != nil {
		body = *c.Body
		if c.BodyEncoding == "base64" {
			bytes, err := base64.StdEncoding.DecodeString(body)
			require.NoError(t, err)
			body = string(bytes)
		}
		if !framed {
			head += fmt.Sprintf("Content-Length: %d\r\n", len(body))
		}
	}
	_, err = io.WriteString(conn, head+"\r\n"+body)
	require.NoError(t, err)
	answer, err = http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: c.Method})
	require.NoError(t, err)
	defer answer.Body.Close()
	bytes, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer, string(bytes)
}

// requireStored compares messages as JSON; <uuid> and <now> match any UUID and time.
func requireStored(t *testing.T, want string, got json.RawMessage) {
	t.Helper()
	uuid := regexp.MustCompile(`"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"`)
	now := regexp.MustCompile(`"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}Z"`)
	var members, wanted map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(got, &members))
	require.NoError(t, json.Unmarshal([]byte(want), &wanted))
	for name, value := range wanted {
		switch string(value) {
		case `"<uuid>"`:
			require.Regexp(t, uuid, string(members[name]), name)
			members[name] = value
		case `"<now>"`:
			require.Regexp(t, now, string(members[name]), name)
			members[name] = value
		}
	}
	text, err := json.Marshal(members)
	require.NoError(t, err)
	require.JSONEq(t, want, string(text))
}

func joined(values []string) string {
	values = slices.Clone(values)
	slices.Sort(values)
	return strings.Join(values, ", ")
}

// probe is a request that needs no network.
type probe struct {
	method, path, key, body string
	headers                 []string // name, value, name, value, …
}

// answer is the status and the body of an answer, without the newline at its end.
func (p probe) answer(t *testing.T, s *mockrudder.Server) string {
	t.Helper()
	answer := p.send(s)
	return fmt.Sprintf("%d %s", answer.Code, strings.TrimSuffix(answer.Body.String(), "\n"))
}

func (p probe) send(s *mockrudder.Server) *httptest.ResponseRecorder {
	if p.method == "" {
		p.method = http.MethodPost
	}
	request := httptest.NewRequest(p.method, p.path, strings.NewReader(p.body))
	request.Host = "localhost:8090"
	if p.key != "" {
		request.SetBasicAuth(p.key, "")
	}
	for i := 0; i < len(p.headers); i += 2 {
		request.Header.Set(p.headers[i], p.headers[i+1])
	}
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, request)
	return answer
}

// batch posts a body to /v1/batch.
func batch(s *mockrudder.Server, body string) *httptest.ResponseRecorder {
	return probe{path: batchPath, key: "wkHTTP", body: body}.send(s)
}

// server returns a server with the recorded sources, without validation.
func server(t testing.TB, opts ...mockrudder.Option) *mockrudder.Server {
	t.Helper()
	s, err := mockrudder.New(append(append(recordedSources(), mockrudder.WithoutValidation()), opts...)...)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return buf.String()
}

// stored returns the only message that a server has, as RudderStack would store it.
func stored(t *testing.T, s *mockrudder.Server) map[string]any {
	t.Helper()
	events := s.Events(mockrudder.Filter{})
	require.Len(t, events, 1)
	var message map[string]any
	require.NoError(t, json.Unmarshal(events[0].Message(), &message))
	return message
}

const (
	batchPath   = "/v1/batch"
	webhookPath = "/v1/webhook?writeKey=wkBraze"
)

// brazeEvent makes a webhook body with one event of these properties.
func brazeEvent(properties string) string {
	return `{"events":[{"event_type":"t","id":"i","user":{"external_user_id":"u"},"properties":` + properties + `}]}`
}

func TestGzip(t *testing.T) {
	batch, event := `{"batch":[{"userId":"u"}]}`, brazeEvent(`{}`)
	s := server(t)
	for _, c := range []struct{ path, encoding, body, want string }{
		{batchPath, "gzip", gzipped(t, batch), "200 ok"},
		{batchPath, "gzip", gzipped(t, batch)[:20], "500 failed to read body from request"},
		{batchPath, "GZIP", gzipped(t, batch), "400 invalid json"},
		{batchPath, "gzip", gzipped(t, pad(batch, mockrudder.MaxRequestBytes+1)), "413 request size exceeds max limit"},
		{webhookPath, "gzip", gzipped(t, event), "200 ok"},
		{webhookPath, "gzip", "{}", "500 reading request body: unexpected EOF"},
		{webhookPath, "Gzip", gzipped(t, event), "400 Malformed JSON in request body"},
		{webhookPath, "deflate", event, "200 ok"},
	} {
		require.Equal(t, c.want, probe{path: c.path, key: "wkHTTP", body: c.body, headers: []string{"Content-Encoding", c.encoding}}.answer(t, s))
	}
}

// What the recorded answers of these paths leave open.
func TestStaticPaths(t *testing.T) {
	s := server(t)
	get := func(path string) string {
		answer := probe{method: http.MethodGet, path: path}.send(s)
		require.Equal(t, http.StatusOK, answer.Code)
		return answer.Body.String()
	}
	for _, path := range []string{"/", "/health"} {
		var health map[string]string
		require.NoError(t, json.Unmarshal([]byte(get(path)), &health))
		require.ElementsMatch(t, slices.Collect(maps.Keys(health)), []string{"appType", "server", "db", "acceptingEvents", "routingEvents",
			"mode", "backendConfigMode", "lastSync", "lastRegulationSync"})
	}
	require.Regexp(t, `^\{"BuildDate":".+","BuiltBy":".+","Commit":".*","Features":\["gzip-req-payload"\],"Version":"1.83.0"\}$`, get("/version"))
	require.Contains(t, get("/docs"), "<title>")
	require.Equal(t, "User-agent: * \nDisallow: / \n", get("/robots.txt"))
}

// The pixel always answers with its image; only a valid message is stored.
func TestPixel(t *testing.T) {
	for query, want := range map[string]int{
		"writeKey=wkHTTP&event=E":             0,
		"writeKey=wkHTTP&userId=%20":          0,
		"event=E&userId=u":                    0,
		"writeKey=nope&event=E&userId=u":      0,
		"writeKey=wkOffHTTP&event=E&userId=u": 0,
		"writeKey=wkHTTP&userId=u&properties.a.b=1&properties.c=2&properties=x": 1,
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
			require.Equal(t, map[string]any{"a": map[string]any{"b": "1"}, "c": "2"}, message["properties"])
		}
	}
}

// The bucket holds one event more than a window; a request of more never passes.
func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t, mockrudder.WithRateLimit(200, 10*time.Second))
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
		"-1 in 1s":                                 mockrudder.WithRateLimit(-1, time.Second),
		"1 in 0s":                                  mockrudder.WithRateLimit(1, 0),
	} {
		_, err := mockrudder.New(opt)
		require.ErrorContains(t, err, want)
	}
	_, err := mockrudder.New(mockrudder.WithSource("k", mockrudder.Braze), mockrudder.WithSource("k", mockrudder.HTTP))
	require.ErrorContains(t, err, "source k is given twice")
}
