package container

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/dockertest/fakecontainer"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// inProcess is a Container whose server runs in the test itself, without Docker.
func inProcess(t *testing.T) (*Container, *mockrudder.Server) {
	server := mockrudder.Start(t)
	return &Container{fake: fakecontainer.Fake{URL: func(context.Context) (string, error) { return server.URL, nil }}}, server
}

func post(t *testing.T, server *mockrudder.Server, body string) int {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/batch", strings.NewReader(body))
	require.NoError(t, err)
	req.SetBasicAuth("wkHTTP", "")
	req.Header.Set("X-Test-ID", "mine")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode
}

const bought = `{"batch":[{"type":"track","event":"Bought","userId":"u","messageId":"m1","properties":{}},
	{"type":"identify","anonymousId":"a","messageId":"m2"},{"type":"track","userId":"u","messageId":"m3"}]}`

// Each condition selects the same messages over HTTP and in the process.
func TestFiltersMeanTheSame(t *testing.T) {
	c, server := inProcess(t)
	before := time.Now()
	require.Equal(t, http.StatusOK, post(t, server, bought))
	for _, filter := range []mockrudder.Filter{
		{}, {Type: "track"}, {Event: "Bought"}, {UserID: "u"}, {AnonymousID: "a"}, {MessageID: "m2"}, {Source: "wkHTTP"},
		{Source: "wkBraze"}, {TestID: "mine"}, {TestID: "other"}, {Text: `"m3"`}, {Rule: "required"}, {OnlyValid: true},
		{OnlyInvalid: true}, {Since: before}, {Until: before}, {Since: time.Now()},
	} {
		want := server.Events(filter)
		got, err := c.Events(t.Context(), filter)
		require.NoError(t, err)
		require.Len(t, got, len(want), "%s", filter)
		for i := range want {
			require.Equal(t, want[i].ID(), got[i].ID())
			require.Equal(t, want[i].Raw, got[i].Raw)
		}
		n, err := c.Count(t.Context(), filter)
		require.NoError(t, err)
		require.Equal(t, server.Count(filter), n)
	}
	for _, filter := range []mockrudder.Filter{{Match: func(mockrudder.Event) bool { return true }}, {OnlyValid: true, OnlyInvalid: true}} {
		_, err := c.Events(t.Context(), filter)
		require.Error(t, err)
		_, err = c.Count(t.Context(), filter)
		require.Error(t, err)
		_, err = c.WaitFor(t.Context(), filter, 1)
		require.Error(t, err)
	}
}

func TestPagesAreJoined(t *testing.T) {
	c, server := inProcess(t)
	for range page {
		require.Equal(t, http.StatusOK, post(t, server, bought))
	}
	events, err := c.Events(t.Context(), mockrudder.Filter{Type: "track"})
	require.NoError(t, err)
	require.Len(t, events, 2*page)
}

func TestWaitFor(t *testing.T) {
	c, server := inProcess(t)
	came := make(chan error, 1)
	go func() {
		_, err := c.WaitFor(t.Context(), mockrudder.Filter{Type: "track"}, 2)
		came <- err
	}()
	require.Equal(t, http.StatusOK, post(t, server, bought))
	require.NoError(t, <-came)

	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	events, err := c.WaitFor(soon, mockrudder.Filter{}, 4)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "3 of 4 messages")
	require.Len(t, events, 3)
}

func TestFaultsStatsAndReset(t *testing.T) {
	c, server := inProcess(t)
	ctx := t.Context()
	require.NoError(t, c.Fault(ctx, mockrudder.Fault{Status: 503, Requests: 1}))
	require.Equal(t, http.StatusServiceUnavailable, post(t, server, bought))
	faults, err := c.Faults(ctx)
	require.NoError(t, err)
	require.Len(t, faults, 1)
	require.Equal(t, 1, faults[0].Hits)
	require.NoError(t, c.SetFaults(ctx))
	require.Empty(t, server.Faults())
	require.ErrorContains(t, c.Fault(ctx, mockrudder.Fault{Status: 7}), "400")

	require.Equal(t, http.StatusOK, post(t, server, bought))
	stats, err := c.Stats(ctx)
	require.NoError(t, err)
	require.Equal(t, server.Stats(), stats)
	require.NoError(t, c.Reset(ctx))
	require.Zero(t, server.Stats().Total)

	webhook, err := c.WebhookURL(ctx, "a key")
	require.NoError(t, err)
	require.Equal(t, server.WebhookURL("a key"), webhook)
}

// recorder counts the failures of a test.
type recorder struct {
	mockrudder.TB
	failures int
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failures++ }

func TestRequireValid(t *testing.T) {
	c, server := inProcess(t)
	require.Equal(t, http.StatusOK, post(t, server, `{"batch":[{"type":"track","event":"e","userId":"u","messageId":"m","properties":{}}]}`))
	var test recorder
	c.RequireValid(t.Context(), &test)
	require.Zero(t, test.failures)
	require.Equal(t, http.StatusOK, post(t, server, bought))
	c.RequireValid(t.Context(), &test)
	require.Positive(t, test.failures)
}
