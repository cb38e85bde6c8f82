package container

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/dockertest/fakecontainer"
	"github.com/currentsbridge/currentsbridge/mockbraze"
)

// inProcess is a Container whose server runs in the test itself, for all that
// needs no Docker.
func inProcess(t *testing.T) *Container {
	braze := mockbraze.Start(t, mockbraze.WithSeed(3))
	server := httptest.NewServer(braze.Handler())
	t.Cleanup(server.Close)
	return &Container{fake: fakecontainer.Fake{URL: func(context.Context) (string, error) { return server.URL, nil }}}
}

// target answers with a status that can be changed.
func target(t *testing.T) (url string, status *atomic.Int64) {
	status = new(atomic.Int64)
	status.Store(http.StatusOK)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	t.Cleanup(server.Close)
	return server.URL, status
}

func TestSend(t *testing.T) {
	c, ctx := inProcess(t), t.Context()
	url, status := target(t)
	current, err := c.Launch(ctx, mockbraze.Current{URL: url, Token: "t", Events: []string{"users.messages.*"}, FlushAfter: time.Minute})
	require.NoError(t, err)
	outcome, err := current.Send(ctx, 250)
	require.NoError(t, err)
	require.Equal(t, 250, outcome.Acked)
	require.Empty(t, outcome.Dropped)

	status.Store(http.StatusBadRequest)
	outcome, err = current.Send(ctx, 3)
	require.NoError(t, err)
	require.Equal(t, map[mockbraze.Reason]int{mockbraze.Refused: 3}, outcome.Dropped)

	report, err := current.Report(ctx)
	require.NoError(t, err)
	require.Equal(t, "1", report.ID)
	require.Equal(t, int64(253), report.Counts.Events)
	require.Equal(t, int64(250), report.Counts.Sent)
	require.InDelta(t, 60, report.FlushAfter, 0.001)
	require.Equal(t, mockbraze.Running, report.State)
	require.NotEmpty(t, report.Answers)
}

func TestPauseRateAndDrain(t *testing.T) {
	c, ctx := inProcess(t), t.Context()
	url, _ := target(t)
	current, err := c.Launch(ctx, mockbraze.Current{URL: url})
	require.NoError(t, err)
	require.NoError(t, current.SetRate(ctx, 1000))
	require.Eventually(t, func() bool {
		report, err := current.Report(ctx)
		return err == nil && report.Counts.Queued > 0
	}, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, current.SetRate(ctx, 0))
	require.NoError(t, current.Pause(ctx))

	soon, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	_, err = current.Drained(soon)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	require.NoError(t, current.Launch(ctx))
	require.NoError(t, current.Flush(ctx))
	report, err := current.Drained(ctx)
	require.NoError(t, err)
	require.Equal(t, report.Counts.Events, report.Counts.Sent)
	require.Positive(t, report.Counts.Sent)
}

func TestLaunchFails(t *testing.T) {
	c, ctx := inProcess(t), t.Context()
	url, status := target(t)
	status.Store(http.StatusUnauthorized)
	_, err := c.Launch(ctx, mockbraze.Current{URL: url})
	require.ErrorContains(t, err, "401")
	_, err = c.Launch(ctx, mockbraze.Current{URL: "nowhere"})
	require.ErrorContains(t, err, "url")
	_, err = c.Launch(ctx, mockbraze.Current{URL: url, Window: 5, Timeout: time.Second, Connections: 3})
	require.ErrorContains(t, err, "cannot have Connections, Timeout, Window:")
}
