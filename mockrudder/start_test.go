package mockrudder_test

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
)

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
func TestStartCleansUp(t *testing.T) {
	for want, start := range map[error]func(mockrudder.TB, ...mockrudder.Option) *mockrudder.Server{
		syscall.ECONNREFUSED: mockrudder.Start, net.ErrClosed: mockrudder.StartInMemory,
	} {
		watched := &fakeT{}
		rudder := start(watched)
		answer, err := rudder.Client().Get(rudder.URL + "/health")
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		for _, cleanup := range watched.cleanups {
			cleanup()
		}
		require.Empty(t, watched.errors)
		_, err = rudder.Client().Get(rudder.URL + "/health")
		require.ErrorIs(t, err, want)
	}
	require.Same(t, http.DefaultTransport, server(t).Transport())
	watched := &fakeT{}
	require.Nil(t, mockrudder.Start(watched, mockrudder.WithKeep(0)))
	require.Len(t, watched.fatals, 1)
}
