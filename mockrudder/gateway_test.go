package mockrudder_test

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

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

// Every recorded answer of a real gateway: status, headers, body, and what was
// stored.
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

// exchange sends a recorded request as it was sent, byte for byte.
func exchange(t *testing.T, rudder *mockrudder.Server, c fixtures.GatewayCase) (answer *http.Response, text string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(rudder.URL, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", c.Method, c.Path)
	framed := false
	for _, header := range c.Headers {
		head += header[0] + ": " + header[1] + "\r\n"
		framed = framed || slices.Contains([]string{"Content-Length", "Transfer-Encoding"}, header[0])
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

// requireStored compares messages as JSON, where <uuid> and <now> stand for
// what varies.
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
