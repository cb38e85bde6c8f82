package mockrudder

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Events returns the messages that match and are still kept, in the order in
// which they were stored.
func (s *Server) Events(filter Filter) []Event {
	return s.store.find(filter, 0, math.MaxInt)
}

// Count returns how many messages matched since the start or the last reset,
// kept or not. A filter by UserID or MessageID counts only those still kept.
func (s *Server) Count(filter Filter) uint64 { return s.store.total(filter) }

// WaitFor returns once n messages match, with all that do and are still kept.
// It gives up with ctx, whose error it wraps, and returns what has come by then.
func (s *Server) WaitFor(ctx context.Context, filter Filter, n int) ([]Event, error) {
	seen, err := s.store.wait(ctx, filter, 0, n)
	events := s.Events(filter)
	if err != nil {
		return events, fmt.Errorf("mockrudder: %d of %d messages came, and %d others: %w",
			seen, n, s.Count(Filter{})-seen, err)
	}
	return events, nil
}

// RequireValid fails the test for each kept message that a schema refuses, and
// where nothing was judged.
func (s *Server) RequireValid(t TB) {
	t.Helper()
	if s.judge == nil {
		t.Fatalf("mockrudder: this server was started without validation")
		return
	}
	invalid := s.Events(Filter{OnlyInvalid: true})
	const shown = 10
	for _, e := range invalid[:min(shown, len(invalid))] {
		for _, f := range e.Errors {
			t.Errorf("mockrudder: %s %q, messageId %s: %s: %s: %s", e.Type, e.Name, e.MessageID, f.Path, f.Rule, f.Detail)
		}
	}
	if all := s.Count(Filter{OnlyInvalid: true}); all > 0 {
		t.Fatalf("mockrudder: %d invalid messages, of which %d are shown above", all, min(shown, len(invalid)))
	}
}

// RequireNone fails the test if a message matches now or comes within window.
func (s *Server) RequireNone(t TB, filter Filter, window time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), window)
	defer cancel()
	if seen, err := s.store.wait(ctx, filter, 0, 1); err == nil {
		first := "no longer kept"
		if events := s.Events(filter); len(events) > 0 {
			first = string(events[0].Message())
		}
		t.Fatalf("mockrudder: no message should match %+v, but %d did; the first: %s", filter, seen, first)
	}
}
