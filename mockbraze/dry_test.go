package mockbraze

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockbraze/journey"
)

// deadScenario has a few people who leave, and nobody who comes.
const deadScenario = "users: 20\npace: 0%\ncampaigns: []"

// endsSoon is a context that is looked at a few times before it has ended.
type endsSoon struct {
	context.Context
	left atomic.Int64
}

func (c *endsSoon) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

func TestEmitSaysThatNothingHappensAnyMore(t *testing.T) {
	for _, batches := range []bool{false, true} {
		var out bytes.Buffer
		err := Emit(t.Context(), &out, Emission{Events: 2000, Scenario: told(t, deadScenario), Batches: batches})
		require.ErrorIs(t, err, journey.ErrOver)
		require.ErrorContains(t, err, "starts.newcomers")
		if !batches {
			require.Greater(t, strings.Count(out.String(), "\n"), 100, "what there was is written")
			require.True(t, strings.HasSuffix(out.String(), "}\n"))
		}
	}
}

// TestEmitLooksAtItsContextAfterEachEvent: of a rare type a few take seconds.
func TestEmitLooksAtItsContextAfterEachEvent(t *testing.T) {
	for _, batches := range []bool{false, true} {
		ctx := &endsSoon{Context: t.Context()}
		ctx.left.Store(3)
		err := Emit(ctx, new(bytes.Buffer), Emission{Events: 50, Batches: batches})
		require.ErrorIs(t, err, context.Canceled)
	}
}

// stopping is a Source that ends a context with its third event.
type stopping struct {
	end func()
	n   int
}

func (s *stopping) Next() Event {
	if s.n++; s.n == 3 {
		s.end()
	}
	return opens(1)[0]
}

func TestSendLooksAtItsContextAfterEachEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		source := &stopping{end: cancel}
		e := &endpoint{}
		s := e.open(t, WithScenario("stopping", func(SourceConfig) (Source, error) { return source, nil }))
		c := s.Launch(Current{URL: "http://x.example", Scenario: "stopping"})
		require.ErrorIs(t, c.Send(ctx, 100), context.Canceled)
		require.Equal(t, 3, source.n)
	})
}

func TestSendSaysThatNothingHappensAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		s := e.open(t, WithScenario("dead", Stories(told(t, deadScenario))))
		c := s.Launch(Current{URL: "http://x.example", Scenario: "dead"})
		require.ErrorIs(t, c.Send(t.Context(), 2000), journey.ErrOver)
		synctest.Wait()
		require.Greater(t, c.Report().Counts.Sent, int64(100), "what there was is sent")

		code, answer := control(t, s.Handler(), "POST", "/api/currents/1/send?events=5", "")
		require.Equal(t, 409, code)
		require.Contains(t, answer["what_to_do"], "another scenario")
	})
}

func TestRateEndsWhereNothingHappensAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		s := e.open(t, WithScenario("dead", Stories(told(t, deadScenario))))
		c := s.Launch(Current{URL: "http://x.example", Scenario: "dead", Rate: 1000})
		time.Sleep(time.Minute)
		synctest.Wait()
		r := c.Report()
		require.Zero(t, r.Rate)
		require.Len(t, r.Mails, 1)
		require.Contains(t, r.Mails[0].Subject, "starts.newcomers")
	})
}
