package mockrudder_test

import (
	"encoding/hex"
	"io"
	"net/http"
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

// Every recorded answer of a real gateway: status, headers, body, and how many
// messages were stored.
func TestRecordedAnswers(t *testing.T) {
	cases, err := fixtures.GatewayCases()
	require.NoError(t, err)
	require.Len(t, cases, 119)
	for _, c := range cases {
		t.Run(c.Group+"/"+c.Name, func(t *testing.T) {
			rudder := mockrudder.Start(t, recordedSources()...)
			var body io.Reader
			if c.Body != nil {
				body = strings.NewReader(*c.Body)
			}
			request, err := http.NewRequestWithContext(t.Context(), c.Method, rudder.URL+c.Path, body)
			require.NoError(t, err)
			for name, value := range c.Headers {
				request.Header.Set(name, value)
			}
			answer, err := http.DefaultTransport.RoundTrip(request)
			require.NoError(t, err)
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			require.NoError(t, err)

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
				require.Equal(t, want, string(text))
			}
			for name, want := range c.Want.Headers {
				require.Equal(t, want, joined(answer.Header.Values(name)), name)
			}
			require.EqualValues(t, c.Want.Stored, rudder.Count(mockrudder.Filter{}))
			require.Len(t, rudder.Events(mockrudder.Filter{}), c.Want.Stored)
		})
	}
}

func joined(values []string) string {
	values = slices.Clone(values)
	slices.Sort(values)
	return strings.Join(values, ", ")
}
