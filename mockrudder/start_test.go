package mockrudder_test

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

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

// After the test connecting fails at once.
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
