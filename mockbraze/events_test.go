package mockbraze

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/journey"
	"github.com/currentsbridge/currentsbridge/internal/journey/journeytest"
	"github.com/currentsbridge/currentsbridge/internal/journey/story"
	"github.com/currentsbridge/currentsbridge/schemas"
)

func emitted(t *testing.T, e Emission) []string {
	var out bytes.Buffer
	require.NoError(t, Emit(t.Context(), &out, e))
	if out.Len() == 0 {
		return nil
	}
	require.True(t, bytes.HasSuffix(out.Bytes(), []byte("\n")))
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

// TestTenOfEachType holds the promise of 1020 events against the glossary; that
// any ten show every field is a test of internal/journey.
func TestTenOfEachType(t *testing.T) {
	validator, err := schemas.NewValidator()
	require.NoError(t, err)
	lines := emitted(t, Emission{Events: 1020, Seed: 99})
	count, ids := make(map[string]int), make(map[string]bool)
	for _, line := range lines {
		verdict := validator.Event([]byte(line))
		require.True(t, verdict.Valid && len(verdict.Drift) == 0, "%v %v\n%s", verdict.Errors, verdict.Drift, line)
		e, _ := Event{Raw: []byte(line)}.complete()
		count[e.Type]++
		ids[e.ID] = true
	}
	require.Len(t, ids, 1020)
	for _, name := range journeytest.Glossary(t).Current() {
		require.Equal(t, 10, count[name], name)
	}
	require.Equal(t, lines, emitted(t, Emission{Events: 1020, Seed: 99}))
}

func TestEmitNarrowed(t *testing.T) {
	for _, batches := range []bool{false, true} {
		for _, line := range emitted(t, Emission{Events: 30, Types: []string{"users.messages.sms.*", "users.campaigns.Conversion"}, Batches: batches}) {
			require.Regexp(t, `"event_type":"users\.(messages\.sms\.|campaigns\.Conversion)`, line)
		}
	}
	require.Len(t, strings.Split(strings.Join(emitted(t, Emission{Events: 105, Retired: true}), ""), "newsfeedcard."), 4)
	require.Contains(t, emitted(t, Emission{Events: 1, Types: []string{"users.messages.newsfeedcard.Click"}})[0], "newsfeedcard.Click")
	require.NotEqual(t, emitted(t, Emission{Events: 100}), emitted(t, Emission{Events: 100, Drift: 100_000}))
	require.Empty(t, emitted(t, Emission{}))
	require.Empty(t, emitted(t, Emission{Batches: true}))
	require.ErrorContains(t, Emit(t.Context(), io.Discard, Emission{Events: 1, Types: []string{"nope"}}), `"nope"`)
	require.ErrorContains(t, Emit(t.Context(), io.Discard, Emission{Events: -1}), "negative")
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestEmitBatches holds batches against the events one by one.
func TestEmitBatches(t *testing.T) {
	for name, e := range map[string]Emission{
		"rounds": {Events: 11*100 + 25, Seed: 4, Types: []string{"users.messages.email.*"}},
		// A hundredth of the pace, so that batches get old before they are full.
		"stories": {Events: 3000, Seed: 4, Scenario: journeytest.Scenario(t, "base: quiet\nusers: 100"), Drift: 20_000},
	} {
		want := emitted(t, e)
		e.Batches = true
		var got []string
		full, lines := 0, emitted(t, e)
		for _, line := range lines {
			var batch struct{ Events []json.RawMessage }
			require.NoError(t, json.Unmarshal([]byte(line), &batch))
			require.LessOrEqual(t, len(batch.Events), MaxBatch)
			full += len(batch.Events) / MaxBatch
			first := journeytest.Decode(t, batch.Events[0])
			for _, raw := range batch.Events {
				event := journeytest.Decode(t, raw)
				require.Equal(t, first.Type, event.Type)
				if e.Scenario != nil {
					require.LessOrEqual(t, event.Time-first.Time, int64(batchAge.Seconds())+2, "an event waited too long")
				}
				got = append(got, string(raw))
			}
		}
		require.Equal(t, e.Scenario == nil, full >= len(lines)/2, "%s: %d of %d are full", name, full, len(lines))
		slices.Sort(want)
		slices.Sort(got)
		require.Equal(t, want, got)
		require.Equal(t, lines, emitted(t, e))
	}
}

func TestEmitUsersAndProgress(t *testing.T) {
	require.ErrorContains(t, Emit(t.Context(), new(bytes.Buffer), Emission{Events: 1, Users: 5}), "needs a scenario")
	for _, batches := range []bool{false, true} {
		done := 0
		people := make(map[string]bool)
		for _, line := range emitted(t, Emission{
			Events: 5000, Scenario: journeytest.Scenario(t, "starts: {newcomers: 0}"), Users: 40, Batches: batches, Progress: func(n int) { done += n },
		}) {
			people[journeytest.Decode(t, []byte(line)).Text("user_id")] = true
		}
		require.Equal(t, 5000, done)
		require.Less(t, len(people), 100)
	}
}

// TestEmitNeedsLittleMemory measures the heap during an emission.
func TestEmitNeedsLittleMemory(t *testing.T) {
	for _, e := range []Emission{
		{Events: 40_000, Batches: true},
		{Events: 50_000, Batches: true, Scenario: journeytest.Scenario(t, "rough_edges: {huge: 0%}")},
	} {
		var most uint64
		writes := 0
		require.NoError(t, Emit(t.Context(), writerFunc(func(p []byte) (int, error) {
			if writes++; writes%100 != 0 {
				return len(p), nil
			}
			var m runtime.MemStats
			runtime.GC() // so that only what is in use counts
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
			return len(p), nil
		}), e))
		require.Positive(t, most)
		require.Less(t, most, uint64(20<<20), "30 MB of events or more went through")
	}
}

// deadScenario has a few people who leave, and no newcomers.
const deadScenario = "users: 20\npace: 0%\ncampaigns: []"

// endsSoon is a context that ends after a number of calls of Err.
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

func TestEmitFailsWhereNoMoreEventsHappen(t *testing.T) {
	for _, batches := range []bool{false, true} {
		var out bytes.Buffer
		err := Emit(t.Context(), &out, Emission{Events: 2000, Scenario: journeytest.Scenario(t, deadScenario), Batches: batches})
		require.ErrorIs(t, err, story.ErrOver)
		require.ErrorContains(t, err, "starts.newcomers")
		if !batches {
			require.Greater(t, strings.Count(out.String(), "\n"), 100, "the events so far are written")
			require.True(t, strings.HasSuffix(out.String(), "}\n"))
		}
	}
}

// TestMakingEventsStops with the context, as of a rare type a few take seconds, and with
// the writer.
func TestMakingEventsStops(t *testing.T) {
	ending := func() *endsSoon {
		ctx := &endsSoon{Context: t.Context()}
		ctx.left.Store(3)
		return ctx
	}
	broken := writerFunc(func([]byte) (int, error) { return 0, io.ErrClosedPipe })
	for _, batches := range []bool{false, true} {
		require.ErrorIs(t, Emit(ending(), io.Discard, Emission{Events: 50, Batches: batches}), context.Canceled)
		require.ErrorIs(t, Emit(t.Context(), broken, Emission{Events: 200_000, Batches: batches}), io.ErrClosedPipe)
	}
	current, err := Start(t).Create(Current{URL: "http://x.example", Scenario: "steady"})
	require.NoError(t, err)
	events, err := current.feeds.main.take(ending(), 100)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, events, 3)
}

func TestACurrentReportsThatNoMoreEventsHappen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := (&endpoint{}).open(t, WithScenario("dead", journeytest.Scenario(t, deadScenario)))
		c := s.Launch(Current{URL: "http://x.example", Scenario: "dead"})
		require.ErrorIs(t, c.Send(t.Context(), 2000), story.ErrOver)
		synctest.Wait()
		require.Greater(t, c.Report().Counts.Sent, int64(100), "the events so far are sent")
		answer := control(t, s.Handler(), 409, "POST", "/api/currents/1/send?events=5", "")
		require.Contains(t, answer["what_to_do"], "another scenario")

		rated := s.Launch(Current{URL: "http://x.example", Scenario: "dead", Rate: 1000})
		pass(time.Minute)
		r := rated.Report()
		require.Zero(t, r.Rate)
		require.Len(t, r.Mails, 1)
		require.Contains(t, r.Mails[0].Subject, "starts.newcomers")
	})
}

//go:generate go test . -run ^TestFixtures$ -update

// TestFixtures holds fixtures/events against the generator: one event of each
// type with every field, seed 1. With -update it writes them.
func TestFixtures(t *testing.T) {
	validator, err := schemas.NewValidator()
	require.NoError(t, err)
	rounds, err := journey.New(journey.Config{Glossary: journeytest.Glossary(t), Seed: 1, Retired: true})
	require.NoError(t, err)

	want := make(map[string]string)
	for i, name := range rounds.Types() {
		var pretty bytes.Buffer
		require.NoError(t, json.Indent(&pretty, rounds.AppendFull(nil, i), "", "  "))
		pretty.WriteByte('\n')
		verdict := validator.Event(pretty.Bytes())
		require.True(t, verdict.Valid, "%s: %v", name, verdict.Errors)
		require.Empty(t, verdict.Drift, name)
		typ, _ := journeytest.Glossary(t).Event(name)
		for _, f := range slices.Concat(typ.User, typ.Properties) {
			require.Regexp(t, `"`+f.Name+`": [^n]`, pretty.String(), name)
		}
		want[name+".json"] = pretty.String()
	}
	casefile.RequireFiles(t, "../fixtures/events", want, *update)
}

var update = flag.Bool("update", false, "write the fixtures instead of only comparing them")

// TestEmitTransforms applies the field transformations of a scenario.
func TestEmitTransforms(t *testing.T) {
	s := journeytest.Scenario(t, "field_transformations: {email_address: hash, external_user_id: remove}")
	hashed, removed := 0, 0
	for _, line := range emitted(t, Emission{Events: 1500, Scenario: s}) {
		e := journeytest.Decode(t, []byte(line))
		if address := e.Text("email_address"); address != "" {
			require.Regexp(t, "^[0-9a-f]{64}$", address)
			hashed++
		}
		if id := e.Text("external_user_id"); id != "" {
			require.Equal(t, Redacted, id)
			removed++
		}
	}
	require.Greater(t, hashed, 50)
	require.Greater(t, removed, 500)
	require.ErrorContains(t, Emit(t.Context(), io.Discard, Emission{Events: 1, Scenario: journeytest.Scenario(t, "field_transformations: {emial: hash}")}), `"emial"`)
}
