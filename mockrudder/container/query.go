package container

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// waitStep is how long one request waits for messages; the server allows ten minutes,
// but a proxy may not.
const waitStep = 20 * time.Second

// page is the number of events of one request.
const page = 1000

// Stats returns the counts since the start or the last reset. They include messages
// that are no longer kept.
func (c *Container) Stats(ctx context.Context) (mockrudder.Stats, error) {
	var stats mockrudder.Stats
	err := c.fake.Call(ctx, http.MethodGet, "/_mock/stats", nil, &stats)
	return stats, err
}

// Events returns the kept messages that match, in the order in which they were stored.
// A filter with Match, a function, is an error here and below.
func (c *Container) Events(ctx context.Context, filter mockrudder.Filter) ([]mockrudder.Event, error) {
	var all []mockrudder.Event
	for after := ""; ; {
		got, err := c.find(ctx, filter, map[string]string{"limit": strconv.Itoa(page), "after": after})
		if err != nil {
			return nil, err
		}
		all = append(all, got.Events...)
		if len(got.Events) < page {
			return all, nil
		}
		after = got.Next
	}
}

// Count returns how many messages matched since the start or the last reset, kept or
// not. A filter by more than Source, Type, Event and verdict counts only kept ones.
func (c *Container) Count(ctx context.Context, filter mockrudder.Filter) (uint64, error) {
	got, err := c.find(ctx, filter, map[string]string{"limit": "0"})
	return got.Total, err
}

// WaitFor returns once n messages match, with all kept ones that do. It ends with ctx,
// whose error it wraps; then it returns those that match so far, and the error says how
// many that are.
func (c *Container) WaitFor(ctx context.Context, filter mockrudder.Filter, n int) ([]mockrudder.Event, error) {
	for {
		got, err := c.find(ctx, filter, map[string]string{"limit": "0", "count": strconv.Itoa(max(n, 1)), "wait": waitStep.String()})
		switch {
		case ctx.Err() != nil:
			short, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			events, err := c.Events(short, filter)
			return events, errors.Join(fmt.Errorf("mockrudder: %d of %d messages came for %s: %w", len(events), n, filter, ctx.Err()), err)
		case err != nil:
			return nil, err
		case got.Total >= uint64(max(n, 0)):
			return c.Events(ctx, filter)
		}
	}
}

// RequireValid fails the test for each kept message that is invalid.
func (c *Container) RequireValid(ctx context.Context, t mockrudder.TB) {
	t.Helper()
	invalid, err := c.Events(ctx, mockrudder.Filter{OnlyInvalid: true})
	if err != nil {
		t.Fatalf("%v", err)
		return
	}
	for _, e := range invalid {
		for _, f := range e.Errors {
			t.Errorf("mockrudder: %s %q, messageId %s: %s %s: %s: %s", e.Type, e.Name, e.MessageID, f.In, f.Path, f.Rule, f.Detail)
		}
	}
}

// Fault adds a fault to those in force.
func (c *Container) Fault(ctx context.Context, fault mockrudder.Fault) error {
	return c.fake.Call(ctx, http.MethodPost, "/_mock/faults", fault, nil)
}

// SetFaults replaces the faults in force; with none it removes them.
func (c *Container) SetFaults(ctx context.Context, list ...mockrudder.Fault) error {
	return c.fake.Call(ctx, http.MethodPut, "/_mock/faults", append([]mockrudder.Fault{}, list...), nil)
}

// Faults returns the faults in force, with how often each has hit.
func (c *Container) Faults(ctx context.Context) ([]mockrudder.Fault, error) {
	var got struct {
		Faults []mockrudder.Fault `json:"faults"`
	}
	err := c.fake.Call(ctx, http.MethodGet, "/_mock/faults", nil, &got)
	return got.Faults, err
}

// Reset removes all messages, counts and faults.
func (c *Container) Reset(ctx context.Context) error {
	return c.fake.Call(ctx, http.MethodPost, "/_mock/reset", nil, nil)
}

// found is a page of the query API.
type found struct {
	Events []mockrudder.Event `json:"events"`
	Next   string             `json:"next"`
	Total  uint64             `json:"total"`
}

// find asks for the messages that match, with more parameters.
func (c *Container) find(ctx context.Context, f mockrudder.Filter, more map[string]string) (got found, err error) {
	if f.Match != nil {
		return got, errors.New("a filter with Match, a function, cannot be sent to a container; use it on the returned events")
	}
	query := url.Values{
		"source": {f.Source}, "type": {f.Type}, "event": {f.Event}, "userId": {f.UserID}, "anonymousId": {f.AnonymousID},
		"messageId": {f.MessageID}, "test": {f.TestID}, "q": {f.Text}, "rule": {f.Rule},
	}
	for name, value := range more {
		query.Set(name, value)
	}
	for name, at := range map[string]time.Time{"since": f.Since, "until": f.Until} {
		if !at.IsZero() {
			query.Set(name, at.Format(time.RFC3339Nano))
		}
	}
	maps.DeleteFunc(query, func(_ string, values []string) bool { return values[0] == "" })
	switch {
	case f.OnlyValid && f.OnlyInvalid:
		return got, errors.New("a filter with both OnlyValid and OnlyInvalid matches nothing")
	case f.OnlyValid:
		query.Set("valid", "true")
	case f.OnlyInvalid:
		query.Set("valid", "false")
	}
	err = c.fake.Call(ctx, http.MethodGet, "/_mock/events?"+query.Encode(), nil, &got)
	return got, err
}
