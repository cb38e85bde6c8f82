package mockrudder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/mockrudder/internal/gateway"
)

// How much the text of a failed assertion shows.
const (
	shownMessages = 10
	shownNearest  = 3
)

// Events returns the kept messages that match, in the order in which they were
// stored.
func (s *Server) Events(filter Filter) []Event {
	return s.store.page(search{filter: filter, limit: math.MaxInt})
}

// Count returns how many messages matched since the start or the last reset, kept
// or not. A filter by more than Source, Type, Event and verdict counts only kept
// ones.
func (s *Server) Count(filter Filter) uint64 { return s.store.total(filter) }

// WaitFor returns once n messages match, with all kept ones that do. It ends with
// ctx, whose error it wraps, or with ErrClosed if the server is closed; then it
// returns those that match so far, and the error says which messages are nearest to
// the filter and how they differ.
func (s *Server) WaitFor(ctx context.Context, filter Filter, n int) ([]Event, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.open, func() { cancel(ErrClosed) })()
	seen, err := s.store.wait(ctx, filter, 0, n)
	events := s.Events(filter)
	if err != nil {
		hints := strings.Join(append([]string{""}, s.instead(filter)...), "\n\t")
		all := s.Count(Filter{})
		return events, fmt.Errorf("mockrudder: %d of %d messages came for %s, and %d others: %w%s",
			seen, n, filter, all-min(seen, all), context.Cause(ctx), hints)
	}
	return events, nil
}

// ErrClosed is the error of a wait on a server that is closed.
var ErrClosed = errors.New("the server is closed")

// instead describes the messages nearest to a filter and the refused requests, a
// line each.
func (s *Server) instead(filter Filter) (lines []string) {
	for _, near := range s.store.nearest(filter, shownNearest) {
		lines = append(lines, fmt.Sprintf("nearest: %s: %s", describe(near.event), near.differences()))
	}
	stats := s.Stats()
	if stats.Stored == 0 {
		lines = append(lines, "no message came at all")
	}
	for _, status := range slices.Sorted(maps.Keys(stats.Requests)) {
		if status != "200" {
			lines = append(lines, fmt.Sprintf("answered %s: %d requests", status, stats.Requests[status]))
		}
	}
	return lines
}

// describe names a message for a person.
func describe(e *Event) string {
	name := e.Type
	if e.Name != "" {
		name = fmt.Sprintf("%s %q", e.Type, e.Name)
	}
	return fmt.Sprintf("%s, messageId %s", name, e.MessageID)
}

// nearMiss is a message that does not match.
type nearMiss struct {
	event  *Event
	failed conditions
}

// differences says which conditions the message does not meet.
func (m *nearMiss) differences() string {
	var differs []string
	for _, c := range m.failed {
		differs = append(differs, fmt.Sprintf("%s is %q, want %q", c.field, c.is(m.event), c.want))
	}
	return strings.Join(differs, "; ")
}

// nearest returns up to n messages that do not match: first those that fail the fewest
// conditions, and of them the newest.
func (s *store) nearest(filter Filter, n int) (best []nearMiss) {
	all := filter.conditions()
	for _, e := range slices.Backward(s.kept(0, 0)) {
		failed := all.failed(e)
		if len(failed) == 0 || len(best) == n && len(failed) >= len(best[n-1].failed) {
			continue
		}
		best = append(best, nearMiss{e, failed})
		slices.SortStableFunc(best, func(a, b nearMiss) int { return cmp.Compare(len(a.failed), len(b.failed)) })
		best = best[:min(len(best), n)]
	}
	return best
}

// RequireValid fails the test for each kept message that is invalid by a schema or
// the tracking plan, and on a server without validation. With filters it looks only
// at messages that match one of them.
func (s *Server) RequireValid(t TB, filters ...Filter) {
	t.Helper()
	if s.judge == nil {
		t.Fatalf("mockrudder: this server was started without validation")
		return
	}
	if len(filters) == 0 {
		filters = []Filter{{}}
	}
	for _, filter := range filters {
		filter.OnlyInvalid = true
		invalid := s.Events(filter)
		for _, e := range invalid[:min(shownMessages, len(invalid))] {
			for _, f := range e.Errors {
				t.Errorf("mockrudder: %s: %s %s: %s: %s", describe(&e), f.In, f.Path, f.Rule, f.Detail)
			}
		}
		if all := s.Count(filter); all > 0 {
			t.Fatalf("mockrudder: %d invalid messages, of which %d are shown above", all, min(shownMessages, len(invalid)))
		}
	}
}

// RequireEvents waits up to within for n messages that match and returns them. It
// fails the test if there are fewer or more.
func (s *Server) RequireEvents(t TB, filter Filter, n int, within time.Duration) []Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	events, err := s.WaitFor(ctx, filter, n)
	switch seen := s.Count(filter); {
	case err != nil:
		t.Fatalf("%v", err)
	case seen > uint64(max(n, 0)):
		t.Fatalf("mockrudder: %d messages came for %s, want %d:%s", seen, filter, n, listed(events))
	}
	return events
}

// RequireNone fails the test if a message matches now or within window.
func (s *Server) RequireNone(t TB, filter Filter, window time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), window)
	defer cancel()
	if seen, err := s.store.wait(ctx, filter, 0, 1); err == nil {
		t.Fatalf("mockrudder: no message should match %s, but %d did:%s", filter, seen, listed(s.Events(filter)))
	}
}

// listed shows the first messages, a line each.
func listed(events []Event) string {
	var text strings.Builder
	for i := range events[:min(shownMessages, len(events))] {
		fmt.Fprintf(&text, "\n\t%s: %s", describe(&events[i]), gateway.Shorten(string(events[i].Message())))
	}
	if more := len(events) - shownMessages; more > 0 {
		fmt.Fprintf(&text, "\n\tand %d more", more)
	}
	return text.String()
}
