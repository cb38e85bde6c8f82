//go:build e2e

package container_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"

	"github.com/currentsbridge/currentsbridge/internal/dockertest"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/mockbraze/container"
)

func TestMain(m *testing.M) { dockertest.Main(m) }

// image is that of mockbraze, from these sources.
func image(ctx context.Context) string {
	name, err := dockertest.Image(ctx, dockertest.MockBraze())
	if err != nil {
		panic(err)
	}
	return name
}

// TestContainer sends to an endpoint of the container itself, whose control API
// answers 404: the launch fails, and says why.
func TestContainer(t *testing.T) {
	ctx := t.Context()
	braze, err := container.Run(ctx, image(ctx), testcontainers.WithLabels(dockertest.Labels()), container.WithSeed(7))
	testcontainers.CleanupContainer(t, braze)
	require.NoError(t, err)
	_, err = braze.Launch(ctx, mockbraze.Current{URL: "http://127.0.0.1:" + strconv.Itoa(container.Port) + "/api/nowhere"})
	require.ErrorContains(t, err, "404")

	url, err := braze.URL(ctx)
	require.NoError(t, err)
	res, err := http.Get(url)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode, "the page")
}

func TestRunFails(t *testing.T) {
	ctx := t.Context()
	braze, err := container.Run(ctx, image(ctx), testcontainers.WithLabels(dockertest.Labels()), testcontainers.WithCmdArgs("--seed", "x"))
	testcontainers.CleanupContainer(t, braze)
	require.ErrorContains(t, err, "run mockbraze from the image")
	require.ErrorContains(t, err, "exited")
}
