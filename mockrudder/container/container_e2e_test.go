//go:build e2e

package container_test

import (
	"bufio"
	"context"
	"encoding/json"
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
	t.Helper()
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
