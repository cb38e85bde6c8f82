package mockrudder_test

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/fixtures"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/mockrudder"
	"github.com/currentsbridge/currentsbridge/mockrudder/plan"
)

// recordedSources are the sources of the server that the cases were recorded on.
func recordedSources() []mockrudder.Option {
	return []mockrudder.Option{
		mockrudder.WithSource("wkBraze", mockrudder.Braze),
		mockrudder.WithSource("wkBrazeMap", mockrudder.Braze, mockrudder.CustomMapping([]byte(
			`{"users.behaviors.CustomEvent":"Custom Event","users.messages.email.Open":"Email Opened"}`))),
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
				require.Equal(t, want, strings.Join(slices.Sorted(slices.Values(answer.Header.Values(name))), ", "), name)
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

// answerCase is a request that is not recorded, and what comes of it. In its body … stands
// for so much of Fill that the body has Size bytes; in what is wanted, for anything.
type answerCase struct {
	Name, Method, Path, Key, Body, Fill, Want string

	Headers      []string
	Gzip         bool // compresses the body
	Size, Stored int

	After mockrudder.Duration // how long to wait before it
	Fault *mockrudder.Fault   // that is in force
	Took  mockrudder.Duration
	Kind  string // the media type of the answer, "" for any
	Retry string // its Retry-After

	Raw, Message, Findings string // of the last message that is stored, "" for any
}

func answerCases(t *testing.T, file string) (cases []answerCase) {
	for line := range strings.Lines(casefile.Text(t, "testdata/"+file+".jsonl")) {
		var c answerCase
		require.NoError(t, json.Unmarshal([]byte(line), &c))
		cases = append(cases, c)
	}
	return cases
}

// require sends the request and compares what comes of it, but for Stored.
func (c answerCase) require(t *testing.T, s *mockrudder.Server) {
	body := strings.Replace(c.Body, "…", strings.Repeat(c.Fill, max(0, c.Size-len(c.Body)+len("…"))), 1)
	if c.Gzip {
		body = gzipped(t, body)
	}
	time.Sleep(time.Duration(c.After))
	start := time.Now()
	got, header := probe{method: c.Method, path: c.Path, key: c.Key, body: body, headers: c.Headers}.ask(t, s)
	requireLike(t, c.Want, strings.ToValidUTF8(got, "\ufffd"), "%s %.200s", c.Path, c.Body)
	if c.Fault != nil {
		require.EqualValues(t, c.Took, time.Since(start))
	}
	require.Equal(t, c.Retry, header.Get("Retry-After"))
	if c.Kind != "" {
		require.Equal(t, c.Kind, header.Get("Content-Type"))
		require.Equal(t, "Origin", header.Get("Vary"))
	}
	if c.Raw+c.Message+c.Findings == "" {
		return
	}
	e := s.Events(mockrudder.Filter{})[s.Count(mockrudder.Filter{})-1]
	requireLike(t, c.Raw, e.Raw)
	requireLike(t, c.Message, string(e.Message()))
	requireLike(t, c.Findings, findings(e))
}

// findings lists those of a message: in, path and rule.
func findings(e mockrudder.Event) string {
	var all []string
	for kind, list := range map[string][]mockrudder.Finding{"errors": e.Errors, "drift": e.Drift} {
		for _, f := range list {
			all = append(all, fmt.Sprint(kind, " ", f.In, " ", f.Path, " ", f.Rule))
		}
	}
	slices.Sort(all)
	return fmt.Sprint(e.Judged && e.Valid, " ", strings.Join(all, ", "))
}

// requireLike compares texts; … in the wanted one stands for anything, as does "".
func requireLike(t *testing.T, want, got string, about ...any) {
	if want == "" {
		return
	}
	require.Regexp(t, "(?s)^"+strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*")+"$", got, about...)
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

// Requests to one server, one after the other. Those of webhook, batch and beacon have all
// mistakes at first and are refused for one after the other, in the order in which
// RudderStack checks: each has one mistake less than the one before. Of verdicts a single call
// is validated by the type of its path, whatever type the message has, but for the tracking
// plan, which goes by that of the message; and a message of the webhook as Braze's event too.
func TestSequencesOfAnswers(t *testing.T) {
	for file, stored := range map[string]int{"order-webhook": 3, "order-batch": 4, "order-beacon": 4, "limits": 2, "hosts": 1, "faults-api": 0, "rates": 3, "verdicts": 13} {
		synctest.Test(t, func(t *testing.T) {
			p, err := plan.Read("testdata/plan.json")
			require.NoError(t, err)
			s, err := mockrudder.New(append(recordedSources(),
				mockrudder.WithRateLimit(1, time.Second), mockrudder.WithAllowedHosts("rudder.staging.example.com"), mockrudder.WithPlan(p),
				mockrudder.WithSource("wkPlan", mockrudder.Braze, mockrudder.CustomMapping([]byte(`{"users.messages.email.Open":"Opened"}`))))...)
			require.NoError(t, err)
			if file == "order-webhook" {
				require.NoError(t, s.Fault(mockrudder.Fault{Transformer: mockrudder.TransformerError, Nth: 8, Path: "/v1/webhook"}))
			}
			for _, c := range answerCases(t, file) {
				c.require(t, s)
			}
			require.Len(t, s.Events(mockrudder.Filter{}), stored)
		})
	}
}

// exchange sends a recorded request as it was sent, byte for byte.
func exchange(t *testing.T, rudder *mockrudder.Server, c fixtures.GatewayCase) (answer *http.Response, text string) {
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
	varying := map[string]string{
		`"<uuid>"`: `"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"`,
		`"<now>"`:  `"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}Z"`,
	}
	var members, wanted map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(got, &members))
	require.NoError(t, json.Unmarshal([]byte(want), &wanted))
	for name, value := range wanted {
		if pattern := varying[string(value)]; pattern != "" {
			require.Regexp(t, pattern, string(members[name]), name)
			members[name] = value
		}
	}
	text, err := json.Marshal(members)
	require.NoError(t, err)
	require.JSONEq(t, want, string(text))
}

// probe is a request.
type probe struct {
	method, path, key, body string
	headers                 []string // name, value, name, value, …
}

func (p probe) request() *http.Request {
	request, err := http.NewRequest(cmp.Or(p.method, http.MethodPost), "http://rudder.test"+p.path, strings.NewReader(p.body))
	if err != nil {
		panic(err)
	}
	if p.key != "" {
		request.SetBasicAuth(p.key, "")
	}
	for i := 0; i < len(p.headers); i += 2 {
		request.Header.Set(p.headers[i], p.headers[i+1])
	}
	request.Host = cmp.Or(request.Header.Get("Host"), request.Host)
	return request
}

// send sends a request without a network.
func (p probe) send(s *mockrudder.Server) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, p.request())
	return answer
}

// ask returns the status and the body of an answer, without the newline at its end and with
// a word about one that is cut off, or "closed" if there is none; and the headers. The
// request goes over the network of the server, if it has one.
func (p probe) ask(t *testing.T, s *mockrudder.Server) (got string, header http.Header) {
	var answer *http.Response
	if s.URL == "" {
		answer = p.send(s).Result()
	} else {
		var err error
		if answer, err = s.Client().Do(p.request().WithContext(t.Context())); err != nil {
			require.True(t, errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, io.ErrUnexpectedEOF), "%v", err)
			return "closed", nil
		}
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	got = fmt.Sprintf("%d %s", answer.StatusCode, strings.TrimSuffix(string(text), "\n"))
	if err != nil {
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		got += " (cut)"
	}
	return got, answer.Header
}

func (p probe) answer(t *testing.T, s *mockrudder.Server) string {
	got, _ := p.ask(t, s)
	return got
}

// batch posts a body to /v1/batch.
func batch(s *mockrudder.Server, body string) *httptest.ResponseRecorder {
	return probe{path: batchPath, key: "wkHTTP", body: body}.send(s)
}

// server returns a server with the recorded sources, without validation.
func server(t testing.TB, opts ...mockrudder.Option) *mockrudder.Server {
	s, err := mockrudder.New(append(append(recordedSources(), mockrudder.WithoutValidation()), opts...)...)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func gzipped(t *testing.T, text string) string {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return buf.String()
}

const (
	batchPath   = "/v1/batch"
	webhookPath = "/v1/webhook?writeKey=wkBraze"
)

// brazeEvent makes a webhook body with one event of these properties.
func brazeEvent(properties string) string {
	return `{"events":[{"event_type":"t","id":"i","user":{"external_user_id":"u"},"properties":` + properties + `}]}`
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

// Events that make the transformer fail.
func TestTransformerFails(t *testing.T) {
	deep := func(levels int) string {
		return brazeEvent(`{"x":` + strings.Repeat("[", levels) + strings.Repeat("]", levels) + `}`)
	}
	for body, want := range map[string]struct {
		answer string
		took   time.Duration
	}{
		deep(4_000):                        {"200 ok", 0},
		deep(6_000):                        {"500 Maximum call stack size exceeded", 20 * time.Millisecond},
		brazeEvent(`{"900000":1}`):         {"413 request size exceeds max limit", 0},
		brazeEvent(`{"5000000":1}`):        {"413 request size exceeds max limit", 5 * time.Second},
		brazeEvent(`{"a.20000000":1}`):     {"closed", 11 * time.Second},
		brazeEvent(`{"4294967294":1}`):     {"closed", 11 * time.Second},
		brazeEvent(`{"a":{"20000000":1}}`): {"200 ok", 0},
	} {
		inFakeTime(t, func(t *testing.T, s *mockrudder.Server) {
			start := time.Now()
			require.Equal(t, want.answer, probe{path: webhookPath, body: body}.answer(t, s))
			require.Equal(t, want.took, time.Since(start))
		})
	}
	inFakeTime(t, func(t *testing.T, s *mockrudder.Server) {
		answers := make(chan string)
		for i, body := range []string{deep(6_000), brazeEvent(`{}`), brazeEvent(`{}`)} {
			go func() {
				time.Sleep(time.Duration(i) * 15 * time.Millisecond)
				answers <- probe{path: webhookPath, body: body}.answer(t, s)
			}()
		}
		require.Contains(t, <-answers, "500 ")
		require.Contains(t, <-answers, "500 ", "in the same call to the transformer")
		require.Equal(t, "200 ok", <-answers)
	})
}

func TestCustomMapping(t *testing.T) {
	for mapping, want := range map[string]string{
		`{"t":"T"}`:               "T",
		`[{"from":"t","to":"T"}]`: "T",
		`[{"from":"t","to":"S"},{"from":"t","to":"T"}]`: "T",
		`[]`:     "t",
		`[null]`: "500 Cannot read properties of null (reading 'from')",
		`{`:      "source k: custom mapping",
	} {
		s, err := mockrudder.New(mockrudder.WithoutValidation(), mockrudder.WithSource("k", mockrudder.Braze, mockrudder.CustomMapping([]byte(mapping))))
		if err != nil {
			require.ErrorContains(t, err, want)
			continue
		}
		got := probe{path: "/v1/webhook?writeKey=k", body: brazeEvent(`{}`)}.answer(t, s)
		if got == "200 ok" {
			got = s.Events(mockrudder.Filter{})[0].Name
		}
		require.Equal(t, want, got, mapping)
	}
}

func TestWrongOptions(t *testing.T) {
	for want, opt := range map[string]mockrudder.Option{
		"a source needs a write key":               mockrudder.WithSource("", mockrudder.Braze),
		`unknown kind "kafka"`:                     mockrudder.WithSource("k", "kafka"),
		"at least one message must be kept, not 0": mockrudder.WithKeep(0),
		"need some bytes":                          mockrudder.WithKeepBytes(0),
		"-1 in 1s":                                 mockrudder.WithRateLimit(-1, time.Second),
		"1 in 0s":                                  mockrudder.WithRateLimit(1, 0),
		"--allow-host":                             mockrudder.WithAllowedHosts("a.b:80"),
	} {
		_, err := mockrudder.New(opt)
		require.ErrorContains(t, err, want)
	}
	_, err := mockrudder.New(mockrudder.WithSource("k", mockrudder.Braze), mockrudder.WithSource("k", mockrudder.HTTP))
	require.ErrorContains(t, err, "source k is given twice")
}

// A message nested deeper than encoding/json reads is shown as well as others.
func TestDeepMessage(t *testing.T) {
	const levels = 20_000
	s := server(t)
	batch(s, `{"batch":[{"userId":"u","x":`+strings.Repeat("[", levels)+strings.Repeat("]", levels)+`}]}`)
	deep := `"x":` + strings.Repeat("[", levels) + strings.Repeat("]", levels) + `}`
	require.Contains(t, string(s.Events(mockrudder.Filter{})[0].Message()), deep)
	for _, path := range []string{"/_mock/events", "/_mock/events/1"} {
		require.Contains(t, probe{method: "GET", path: path}.send(s).Body.String(), deep)
	}
}
