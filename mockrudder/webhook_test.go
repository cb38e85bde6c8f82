package mockrudder_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// Cases of the webhook that are not recorded.
func TestWebhookAnswers(t *testing.T) {
	const (
		good      = `{"event_type":"t","id":"i","user":{"external_user_id":"u"}}`
		form      = "application/x-www-form-urlencoded"
		multipart = "multipart/form-data; boundary=X"
	)
	for _, c := range []struct {
		name, body, kind, want string
		stored                 int
	}{
		{"blank id sinks the rest", `{"events":[` + good + `,{"event_type":"t","user":{"user_id":" "}}]}`, "", "400 request neither has anonymousId nor userId", 0},
		{"blank beside a good id", `{"events":[{"event_type":"t","user":{"user_id":" ","external_user_id":"u"}}]}`, "", "200 ok", 1},
		{"an id beyond float64 is null", `{"events":[{"event_type":"t","user":{"user_id":1e400}}]}`, "", "400 request neither has anonymousId nor userId", 0},
		{"unsafe keys are silently gone", `{"events":[` + good + `,{"event_type":"t","user":{"user_id":"x"},"properties":{"a.constructor":1}}]}`, "", "200 ok", 1},
		{"too large", pad(`{"events":[`+good+`]}`, mockrudder.MaxRequestBytes+1), "", "413 request size exceeds max limit", 0},
		{"size before JSON", pad(`{`, mockrudder.MaxRequestBytes+1), "", "413 request size exceeds max limit", 0},
		{"too large when transformed", brazeEvent(`{"x":"` + strings.Repeat("x", mockrudder.MaxRequestBytes-130) + `"}`), "", "413 request size exceeds max limit", 0},
		{"too large when transformed, identity first", `{"events":[{"event_type":"t","user":{"user_id":"u"},"properties":{"900000":1}},{"event_type":"t","user":{"user_id":" "}}]}`, "", "400 request neither has anonymousId nor userId", 0},
		{"form with events", "events=" + good, "APPLICATION/X-WWW-FORM-URLENCODED; charset=utf-8", "400 All requests in the batch failed", 0},
		{"empty form", "", form, "400 eventList should be an array", 0},
		{"multipart with events", "--X\r\nContent-Disposition: form-data; name=\"events\"\r\n\r\n" + good + "\r\n--X--\r\n", multipart, "400 eventList should be an array", 0},
		{"broken multipart", "nothing", multipart, "400 error during parsing multiform", 0},
		{"multipart without boundary", "--X\r\n", "multipart/form-data", "400 error during parsing multiform", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := server(t)
			require.Equal(t, c.want, probe{path: webhookPath, body: c.body, headers: []string{"Content-Type", c.kind}}.answer(t, s))
			require.Len(t, s.Events(mockrudder.Filter{}), c.stored)
		})
	}
}

// The limit is for the JSON document for the transformer, headers included. These bodies
// are the largest that were seen to pass.
func TestWebhookLimitOfTheRequest(t *testing.T) {
	for filler, largest := range map[string]int{"a": 4_095_749, "<": 682_710} {
		const frame = `{"events":[{"event_type":"x","id":"i","time":1,"user":{"external_user_id":"u"},"properties":{"a":""}}]}`
		for size, want := range map[int]string{largest: "200 ok", largest + 1: "413 request size exceeds max limit"} {
			s := server(t)
			body := strings.Replace(frame, `""`, `"`+strings.Repeat(filler, size-len(frame))+`"`, 1)
			got := probe{path: webhookPath, body: body, headers: []string{
				"Connection", "close", "Content-Length", strconv.Itoa(size), "Content-Type", "application/json"}}.answer(t, s)
			require.Equal(t, want, got, "%d times %s", size, filler)
		}
	}
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
		inFakeTime(t, func(t *testing.T, s *mockrudder.Server, client *http.Client) {
			got, took := ask(t, client, webhookPath, "", body)
			require.Equal(t, want.answer, got)
			require.Equal(t, want.took, took)
		})
	}
	inFakeTime(t, func(t *testing.T, s *mockrudder.Server, client *http.Client) {
		answers := make(chan string)
		for i, body := range []string{deep(6_000), brazeEvent(`{}`), brazeEvent(`{}`)} {
			go func() {
				time.Sleep(time.Duration(i) * 15 * time.Millisecond)
				got, _ := ask(t, client, webhookPath, "", body)
				answers <- got
			}()
		}
		require.Contains(t, <-answers, "500 ")
		require.Contains(t, <-answers, "500 ", "in the same call to the transformer")
		require.Equal(t, "200 ok", <-answers)
	})
}

// The limit is for the whole batch that the transformation makes, {"batch":[…]}, to the
// byte.
func TestWebhookLimitAfterTheTransformation(t *testing.T) {
	event := func(filler int) string {
		return `{"event_type":"t","user":{"user_id":"u"},"properties":{"x":"` + strings.Repeat("x", filler) + `"}}`
	}
	const events = 3 // fewer are too large as they come
	answer := func(filler int) (string, int) {
		s := server(t)
		body := `{"events":[` + strings.Repeat(event(0)+",", events-1) + event(filler) + `]}`
		got := probe{path: webhookPath, body: body}.answer(t, s)
		size := len(`{"batch":[]}`) + events - 1
		for _, e := range s.Events(mockrudder.Filter{}) {
			message := map[string]any{}
			require.NoError(t, json.Unmarshal(e.Message(), &message))
			for _, added := range []string{"messageId", "receivedAt", "request_ip", "rudderId"} {
				delete(message, added)
			}
			text, err := json.Marshal(message)
			require.NoError(t, err)
			size += len(text)
		}
		return got, size
	}
	_, empty := answer(0)
	got, size := answer(mockrudder.MaxRequestBytes - empty)
	require.Equal(t, "200 ok", got)
	require.Equal(t, mockrudder.MaxRequestBytes, size)
	got, _ = answer(mockrudder.MaxRequestBytes - empty + 1)
	require.Equal(t, "413 request size exceeds max limit", got)
}

// The body reaches the transformer as a string in a JSON document, from which all \u0000
// are deleted; the remaining backslash changes the next character.
func TestWebhookNUL(t *testing.T) {
	for value, want := range map[string]string{
		`"x\u0000"`:          "400 invalid json",
		`"\u0000"`:           "400 invalid json",
		`"a\u0000 b"`:        "400 invalid json",
		`"a\u00001"`:         "400 invalid json",
		`"a\u0000\u0000"`:    "400 Malformed JSON in request body",
		`"x\u0000n"`:         "400 Malformed JSON in request body",
		`"x\u0000t"`:         "400 Malformed JSON in request body",
		`"a\\u0000"`:         "400 invalid json", // an escaped backslash before plain u0000
		`"a\\\u0000n"`:       "400 Malformed JSON in request body",
		`"fine \u0001 \\n"`:  "200 ok",
		`{"k\u0000":1}`:      "400 invalid json",
		`{"k":["z\u0000z"]}`: "400 invalid json",
	} {
		s := server(t)
		require.Equal(t, want, probe{path: webhookPath, body: brazeEvent(`{"a":` + value + `}`)}.answer(t, s), value)
	}
}

func TestCustomMapping(t *testing.T) {
	for mapping, want := range map[string]string{
		`{"t":"T"}`:               "T",
		`[{"from":"t","to":"T"}]`: "T",
		`[{"from":"t","to":"S"},{"from":"t","to":"T"}]`: "T",
		`[]`: "t",
	} {
		s, err := mockrudder.New(mockrudder.WithoutValidation(), mockrudder.WithSource("k", mockrudder.Braze, mockrudder.CustomMapping([]byte(mapping))))
		require.NoError(t, err)
		require.Equal(t, "200 ok", probe{path: "/v1/webhook?writeKey=k", body: brazeEvent(`{}`)}.answer(t, s))
		require.Equal(t, want, s.Events(mockrudder.Filter{})[0].Name)
	}
	s, err := mockrudder.New(mockrudder.WithSource("k", mockrudder.Braze, mockrudder.CustomMapping([]byte(`[null]`))))
	require.NoError(t, err)
	require.Equal(t, "500 Cannot read properties of null (reading 'from')", probe{path: "/v1/webhook?writeKey=k", body: brazeEvent(`{}`)}.answer(t, s))
	_, err = mockrudder.New(mockrudder.WithSource("k", mockrudder.Braze, mockrudder.CustomMapping([]byte(`{`))))
	require.ErrorContains(t, err, "source k: custom mapping")
}
