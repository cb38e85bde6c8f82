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

// fakeT records the failures of a test.
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
		require.Equal(t, 200, batch(s, `{"batch":[`+message+`]}`).Code)
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
	require.Contains(t, loud.errors[0], `track "E", messageId bad-0: message /properties: type: `)
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

		time.AfterFunc(time.Minute, func() { batch(s, goodBatch) })
		fatals, took = none(time.Hour)
		require.Len(t, fatals, 1)
		require.Contains(t, fatals[0], `"event":"E"`)
		require.Equal(t, time.Minute, took, "and no longer than it must")
	})
}

func TestWaitForTimesOut(t *testing.T) {
	s := server(t)
	for i, user := range []string{"a", "b", "c", "b"} {
		event := []string{"Open", "Open", "Click", "Send"}[i]
		probe{path: batchPath, key: "wkHTTP", body: fmt.Sprintf(
			`{"batch":[{"type":"track","event":"%s","userId":"%s","messageId":"m%d"}]}`, event, user, i)}.send(s)
	}
	probe{path: batchPath, body: "{}"}.send(s)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	events, err := s.WaitFor(ctx, mockrudder.Filter{Event: "Open", UserID: "a"}, 2)
	require.Len(t, events, 1)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, `mockrudder: 1 of 2 messages came for event "Open", userId "a", and 3 others: context deadline exceeded
	nearest: track "Open", messageId m1: userId is "b", want "a"
	nearest: track "Send", messageId m3: event is "Send", want "Open"; userId is "b", want "a"
	nearest: track "Click", messageId m2: event is "Click", want "Open"; userId is "c", want "a"
	answered 401: 1 requests`, err.Error())

	_, err = server(t).WaitFor(ctx, mockrudder.Filter{}, 1)
	require.ErrorContains(t, err, "no message came at all")
}

// A wait does not outlive the server.
func TestWaitForEndsWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t)
		time.AfterFunc(time.Second, s.Close)
		_, err := s.WaitFor(t.Context(), mockrudder.Filter{}, 1)
		require.ErrorIs(t, err, mockrudder.ErrClosed)
	})
}

func TestRequireEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t)
		send := func() { batch(s, goodBatch) }
		time.AfterFunc(time.Second, send)
		time.AfterFunc(2*time.Second, send)
		watched, start := &fakeT{}, time.Now()
		require.Len(t, s.RequireEvents(watched, mockrudder.Filter{Event: "E"}, 2, time.Minute), 2)
		require.Equal(t, 2*time.Second, time.Since(start), "it waits for all, and no longer")
		require.Empty(t, watched.fatals)

		s.RequireEvents(watched, mockrudder.Filter{Event: "E"}, 3, time.Second)
		require.Len(t, watched.fatals, 1)
		require.Contains(t, watched.fatals[0], "2 of 3 messages came")
		send()
		s.RequireEvents(watched, mockrudder.Filter{Event: "E"}, 2, time.Second)
		require.Len(t, watched.fatals, 2)
		require.Contains(t, watched.fatals[1], `3 messages came for event "E", want 2:`)
		require.Contains(t, watched.fatals[1], `"event":"E"`)
	})
}
