//go:build e2e

package container_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"

	"github.com/currentsbridge/currentsbridge/internal/dockertest"
	"github.com/currentsbridge/currentsbridge/mockrudder"
	"github.com/currentsbridge/currentsbridge/mockrudder/container"
)

func TestMain(m *testing.M) { dockertest.Main(m) }

// image is that of mockrudder, from these sources.
func image(ctx context.Context) string { return must(dockertest.Image(ctx, dockertest.MockRudder)) }

const oneOpen = `{"events":[{"event_type":"users.messages.email.Open","id":"ID","user":{"external_user_id":"u"}}]}`

// open posts an event as Braze does and returns the status.
func open(t *testing.T, rudder *container.Container, key, id string) int {
	url, err := rudder.WebhookURL(t.Context(), key)
	require.NoError(t, err)
	res, err := http.Post(url, "application/json", strings.NewReader(strings.Replace(oneOpen, "ID", id, 1)))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode
}

// A container that is stopped and started has another port and no messages, and
// continues its recording.
func TestContainer(t *testing.T) {
	ctx := t.Context()
	rudder, err := container.Run(ctx, image(ctx),
		testcontainers.WithLabels(dockertest.Labels()),
		container.WithSource("mine", mockrudder.Braze), testcontainers.WithCmdArgs("--keep", "2", "--record", "/data/received.ndjson"))
	testcontainers.CleanupContainer(t, rudder)
	require.NoError(t, err)

	for _, id := range []string{"1", "2", "3"} {
		require.Equal(t, http.StatusOK, open(t, rudder, "mine", id))
	}
	events, err := rudder.Events(ctx, mockrudder.Filter{})
	require.NoError(t, err)
	require.Len(t, events, 2, "as --keep says")
	n, err := rudder.Count(ctx, mockrudder.Filter{Source: "mine"})
	require.NoError(t, err)
	require.EqualValues(t, 3, n)

	grace := 10 * time.Second
	require.NoError(t, rudder.Stop(ctx, &grace))
	require.NoError(t, rudder.Start(ctx))
	require.Equal(t, http.StatusOK, open(t, rudder, "mine", "4"))
	n, err = rudder.Count(ctx, mockrudder.Filter{})
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	require.Equal(t, []string{"1", "2", "3", "4"}, recorded(t, rudder))
}

func recorded(t *testing.T, rudder *container.Container) (ids []string) {
	file, err := rudder.CopyFileFromContainer(t.Context(), "/data/received.ndjson")
	require.NoError(t, err)
	defer file.Close()
	lines := json.NewDecoder(bufio.NewReader(file))
	for {
		var e mockrudder.Event
		if err := lines.Decode(&e); err == io.EOF {
			return ids
		}
		require.Contains(t, e.Raw, e.MessageID)
		ids = append(ids, e.MessageID)
	}
}

func TestRunFails(t *testing.T) {
	ctx := t.Context()
	rudder, err := container.Run(ctx, image(ctx), testcontainers.WithLabels(dockertest.Labels()), container.WithSource("", mockrudder.Braze))
	testcontainers.CleanupContainer(t, rudder)
	require.ErrorContains(t, err, "run mockrudder from the image")
	require.ErrorContains(t, err, "exited")
}

// A test starts a RudderStack with a Braze source, has its subject post to it, which
// fails at first, and waits for the messages. In your test the image is
// "localhost/currentsbridge/mockrudder", and testcontainers.CleanupContainer(t, rudder)
// takes the place of TerminateContainer.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	rudder, err := container.Run(ctx, image(ctx), container.WithSource("key", mockrudder.Braze))
	defer func() { _ = testcontainers.TerminateContainer(rudder) }()
	check(err)
	check(rudder.Fault(ctx, mockrudder.Fault{Status: http.StatusServiceUnavailable, Requests: 1}))
	url := must(rudder.WebhookURL(ctx, "key"))
	body := `{"events":[{"event_type":"users.messages.email.Open","id":"1","user":{"external_user_id":"u"}}]}`
	for range 2 {
		res := must(http.Post(url, "application/json", strings.NewReader(body)))
		_ = res.Body.Close()
		fmt.Println(res.Status)
	}
	events := must(rudder.WaitFor(ctx, mockrudder.Filter{Type: "track"}, 1))
	fmt.Println(events[0].Name, "of", events[0].UserID)
	fmt.Println("hits:", must(rudder.Faults(ctx))[0].Hits, "stored:", must(rudder.Stats(ctx)).Stored)
	// Output:
	// 503 Service Unavailable
	// 200 OK
	// users.messages.email.Open of u
	// hits: 1 stored: 1
}

// check is for examples: a program handles the error.
func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}
