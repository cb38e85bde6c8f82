package mockrudder_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// post sends a body and returns the status.
func post(t *testing.T, url, key, body string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	if key != "" {
		request.SetBasicAuth(key, "")
	}
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode
}

const brazeOpen = `{"events":[{"event_type":"users.messages.email.Open","id":"e-1","time":1700000000,` +
	`"user":{"user_id":"b-1","external_user_id":"x-1"},"properties":{"dispatch_id":"d","email_address":"a@b.c","send_id":null}}]}`

func TestStartTakesBothWaysIn(t *testing.T) {
	rudder := mockrudder.Start(t, mockrudder.WithSource("k", mockrudder.Braze))
	require.Equal(t, 200, post(t, rudder.WebhookURL("k"), "", brazeOpen))
	require.Equal(t, 200, post(t, rudder.URL+"/v1/batch", "k", `{"batch":[{"type":"track","event":"E","userId":"u","messageId":" m "}]}`))

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	events, err := rudder.WaitFor(ctx, mockrudder.Filter{Source: "k"}, 2)
	require.NoError(t, err)
	require.Len(t, events, 2)
	require.Equal(t, "users.messages.email.Open", events[0].Name)
	require.Equal(t, "x-1", events[0].UserID)
	require.Equal(t, "m", events[1].MessageID)
	require.True(t, strings.HasPrefix(events[0].Raw, `{"event_type"`))
	require.Contains(t, string(events[0].Message()), `"traits":{"email":"a@b.c"}`)
	require.Contains(t, string(events[1].Message()), `"messageId":"m"`)
}
