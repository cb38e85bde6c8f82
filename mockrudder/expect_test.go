package mockrudder_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// fakeT is a test that is watched as it fails.
type fakeT struct {
	errors, fatals []string
	cleanups       []func()
}

func (f *fakeT) Helper()           {}
func (f *fakeT) Cleanup(fn func()) { f.cleanups = append(f.cleanups, fn) }
func (f *fakeT) Errorf(format string, a ...any) {
	f.errors = append(f.errors, fmt.Sprintf(format, a...))
}
func (f *fakeT) Fatalf(format string, a ...any) {
	f.fatals = append(f.fatals, fmt.Sprintf(format, a...))
}

func TestRequireValid(t *testing.T) {
	s, err := mockrudder.New()
	require.NoError(t, err)
	send := func(message string) {
		require.Equal(t, 200, probe{path: batchPath, key: "wkHTTP", body: `{"batch":[` + message + `]}`}.send(s).Code)
	}
	send(`{"type":"track","event":"E","userId":"u"}`)
	quiet := &fakeT{}
	s.RequireValid(quiet)
	require.Empty(t, quiet.errors)
	require.Empty(t, quiet.fatals)

	for i := range 12 {
		send(fmt.Sprintf(`{"type":"track","event":"E","userId":"u","messageId":"bad-%d","properties":7}`, i))
	}
	loud := &fakeT{}
	s.RequireValid(loud)
	require.Len(t, loud.errors, 10)
	require.Contains(t, loud.errors[0], `track "E", messageId bad-0: /properties: type: `)
	require.Equal(t, []string{"mockrudder: 12 invalid messages, of which 10 are shown above"}, loud.fatals)

	unjudged := &fakeT{}
	server(t).RequireValid(unjudged)
	require.Len(t, unjudged.fatals, 1)
}

func TestRequireNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t)
		none := func(window time.Duration) ([]string, time.Duration) {
			watched, start := &fakeT{}, time.Now()
			s.RequireNone(watched, mockrudder.Filter{Event: "E"}, window)
			return watched.fatals, time.Since(start)
		}
		fatals, took := none(time.Second)
		require.Empty(t, fatals)
		require.Equal(t, time.Second, took, "it looks until the window is over")

		time.AfterFunc(time.Minute, func() { probe{path: batchPath, key: "wkHTTP", body: goodBatch}.send(s) })
		fatals, took = none(time.Hour)
		require.Len(t, fatals, 1)
		require.Contains(t, fatals[0], `"event":"E"`)
		require.Equal(t, time.Minute, took, "and no longer than it must")
	})
}

func TestWaitForTellsWhatCame(t *testing.T) {
	s := server(t)
	probe{path: batchPath, key: "wkHTTP", body: goodBatch}.send(s)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	events, err := s.WaitFor(ctx, mockrudder.Filter{Event: "F"}, 2)
	require.Empty(t, events)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "0 of 2 messages came, and 1 others")
}

func TestStartFailsTheTest(t *testing.T) {
	watched := &fakeT{}
	require.Nil(t, mockrudder.Start(watched, mockrudder.WithKeep(0)))
	require.Len(t, watched.fatals, 1)
}

// What Start opened is closed with the test.
func TestStartCleansUp(t *testing.T) {
	watched := &fakeT{}
	s := mockrudder.Start(watched)
	require.Equal(t, 200, post(t, s.WebhookURL("wkBraze"), "", brazeOpen))
	for _, cleanup := range watched.cleanups {
		cleanup()
	}
	require.Empty(t, watched.errors)
	watched = &fakeT{}
	again := mockrudder.Start(watched, mockrudder.WithoutValidation())
	require.NotEqual(t, "", again.URL)
	for _, cleanup := range watched.cleanups {
		cleanup()
	}
}
