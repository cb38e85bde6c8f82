package mockrudder_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
)

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

// server returns a server with the recorded sources, without validation.
func server(t testing.TB, opts ...mockrudder.Option) *mockrudder.Server {
	t.Helper()
	s, err := mockrudder.New(append(append(recordedSources(), mockrudder.WithoutValidation()), opts...)...)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func packed(t *testing.T, text string) string {
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
