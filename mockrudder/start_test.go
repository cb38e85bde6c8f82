package mockrudder_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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

// A server without a port works in a bubble of synctest, and there time is free.
func TestStartInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rudder := mockrudder.StartInMemory(t)
		require.NoError(t, rudder.Fault(mockrudder.Fault{Hang: mockrudder.Duration(30 * time.Second), Requests: 1}))
		client := rudder.Client()
		start := time.Now()
		_, err := client.Post(rudder.WebhookURL("wkBraze"), "application/json", strings.NewReader(brazeOpen))
		require.Error(t, err)
		require.Equal(t, 30*time.Second, time.Since(start))
		for range 3 { // over one connection
			answer, err := client.Post(rudder.WebhookURL("wkBraze"), "application/json", strings.NewReader(brazeOpen))
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, answer.Body)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
		}
		events := rudder.RequireEvents(t, mockrudder.Filter{UserID: "x-1"}, 3, time.Minute)
		require.Contains(t, string(events[0].Message()), `"request_ip":"127.0.0.1"`)
	})
}

// Many clients at once, with bodies that no buffer holds.
func TestStartInMemoryIsConcurrent(t *testing.T) {
	rudder := mockrudder.StartInMemory(t, mockrudder.WithoutValidation())
	body := `{"batch":[{"userId":"u","event":"` + strings.Repeat("x", 1<<20) + `"}]}`
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 3 {
				request, err := http.NewRequest(http.MethodPost, rudder.URL+"/v1/batch", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				request.SetBasicAuth("wkHTTP", "")
				answer, err := rudder.Client().Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				_ = answer.Body.Close()
			}
		})
	}
	group.Wait()
	require.EqualValues(t, 24, rudder.Count(mockrudder.Filter{}))
}

// After the test nobody can connect, and nobody hangs trying.
func TestStartInMemoryEnds(t *testing.T) {
	watched := &fakeT{}
	rudder := mockrudder.StartInMemory(watched)
	for _, cleanup := range watched.cleanups {
		cleanup()
	}
	require.Empty(t, watched.errors)
	_, err := rudder.Client().Get(rudder.URL + "/health")
	require.ErrorIs(t, err, net.ErrClosed)
	require.Same(t, http.DefaultTransport, server(t).Transport())
}
