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
