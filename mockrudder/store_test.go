package mockrudder

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/openapitest"
)

func numbered(from, to int) []Event {
	var events []Event
	for i := from; i < to; i++ {
		events = append(events, Event{Source: "k", Type: "track", Name: fmt.Sprint("e", i%3), UserID: fmt.Sprint("u", i), MessageID: fmt.Sprint(i), Judged: true, Valid: i%2 == 0})
	}
	return events
}

func ids(events []Event) (all []string) {
	for _, e := range events {
		all = append(all, e.MessageID)
	}
	return all
}

func TestStoreKeepsTheNewest(t *testing.T) {
	s := newStore(5, 1<<30)
	for i := range 23 {
		s.add(numbered(i, i+1))
		require.LessOrEqual(t, len(s.events), 5)
	}
	require.Equal(t, []string{"18", "19", "20", "21", "22"}, ids(s.page(search{limit: 100})))
	require.Equal(t, []string{"21", "22"}, ids(s.page(search{after: 21, limit: 100})), "messages are numbered from 1")
	require.Equal(t, []string{"18"}, ids(s.page(search{after: 3, limit: 1})), "a cursor of a removed message starts at the oldest")
	require.Empty(t, s.page(search{after: 99, limit: 100}))

	require.EqualValues(t, 23, s.total(Filter{}), "counts are exact, kept or not")
	require.EqualValues(t, 12, s.total(Filter{OnlyValid: true}))
	require.EqualValues(t, 11, s.total(Filter{OnlyInvalid: true}))
	require.EqualValues(t, 8, s.total(Filter{Event: "e0"}))
	require.EqualValues(t, 4, s.total(Filter{Event: "e0", OnlyValid: true}))
	require.EqualValues(t, 0, s.total(Filter{OnlyValid: true, OnlyInvalid: true}))
	require.EqualValues(t, 1, s.total(Filter{UserID: "u22"}))
	require.EqualValues(t, 0, s.total(Filter{UserID: "u1"}), "not kept")
}

func TestStoreKeepsNoMoreBytes(t *testing.T) {
	s := newStore(1000, 10_000)
	for i := range 100 {
		events := numbered(i, i+1)
		events[0].share = 2000
		s.add(events)
		require.LessOrEqual(t, s.bytes, 10_000)
	}
	require.Len(t, s.page(search{limit: 100}), 4)
	judged := numbered(0, 1)
	for range 50 {
		judged[0].Drift = append(judged[0].Drift, Finding{Path: "/properties/unknown", Detail: "not in the glossary"})
	}
	s.add(judged)
	require.Less(t, len(s.page(search{limit: 100})), 4, "findings count too")
	require.LessOrEqual(t, s.bytes, 10_000)
	huge := numbered(0, 1)
	huge[0].share = 1 << 20
	s.add(huge)
	require.Len(t, s.page(search{limit: 100}), 1, "the newest stays whatever its size")
	require.EqualValues(t, 102, s.total(Filter{}))
	s.reset()
	require.Zero(t, s.bytes)
}

// A sender of ever new event names does not fill the memory, nor does one of long names.
func TestTallyIsBounded(t *testing.T) {
	s := newStore(10, 1<<30)
	long := strings.Repeat("x", maxName)
	s.add([]Event{{Source: "k", Type: "track", Name: long + "1"}, {Source: "k", Type: "track", Name: long + "2"}})
	require.Len(t, s.tally.kinds, 1)
	require.EqualValues(t, 1, s.total(Filter{Event: long + "1"}), "counted among the kept")
	for i := range maxNames + 500 {
		s.add([]Event{{Source: "k", Type: "track", Name: fmt.Sprint(i)}})
	}
	require.LessOrEqual(t, len(s.tally.kinds), maxNames+1)
	require.EqualValues(t, maxNames+502, s.total(Filter{Source: "k"}))
	require.EqualValues(t, 1, s.total(Filter{Event: fmt.Sprint(maxNames + 499)}), "counted among the kept")
}

// A wait counts messages that are no longer kept, and restarts with a reset.
func TestStoreWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(5, 1<<30)
		done := make(chan uint64, 1)
		go func() {
			seen, err := s.wait(t.Context(), Filter{}, 0, 31)
			if err == nil {
				done <- seen
			}
		}()
		synctest.Wait()
		s.add(numbered(0, 30))
		s.reset()
		s.add(numbered(0, 1))
		synctest.Wait()
		require.Empty(t, done)
		s.add(numbered(0, 30))
		require.EqualValues(t, 31, <-done)
	})
}

// Every route and every parameter is described, and nothing else.
func TestOpenAPIRoutes(t *testing.T) {
	s, err := New(WithoutValidation())
	require.NoError(t, err)
	defer s.Close()
	var routes []openapitest.Route
	for _, r := range s.queries() {
		routes = append(routes, openapitest.Route{Method: r.method, Path: r.path, Params: r.params})
	}
	openapitest.Read(t, openAPI).RequireRoutes(t, routes)
}
