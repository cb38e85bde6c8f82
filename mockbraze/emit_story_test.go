package mockbraze

import (
	"bytes"
	"encoding/json"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockbraze/scenario"
	"github.com/currentsbridge/currentsbridge/schemas"
)

func told(t *testing.T, text string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Parse("test.yaml", []byte(text))
	require.NoError(t, err)
	return s
}

// TestEmitStoriesInBatches holds batches against the events one by one.
func TestEmitStoriesInBatches(t *testing.T) {
	// A thousandth of the pace, so that batches get old before they are full.
	e := Emission{Events: 6000, Seed: 4, Scenario: told(t, "base: quiet\nusers: 100"), Drift: 20_000}
	left := make(map[string]int)
	for _, line := range emitted(t, e) {
		left[line]++
	}
	e.Batches = true
	full := 0
	lines := emitted(t, e)
	for _, line := range lines {
		var batch struct{ Events []json.RawMessage }
		require.NoError(t, json.Unmarshal([]byte(line), &batch))
		require.NotEmpty(t, batch.Events)
		require.LessOrEqual(t, len(batch.Events), MaxBatch)
		types := make(map[string]bool)
		first, last := int64(1<<62), int64(0)
		for _, raw := range batch.Events {
			require.Positive(t, left[string(raw)], "%s", raw)
			left[string(raw)]--
			types[Event{Raw: raw}.complete().Type] = true
			var at struct{ Time int64 }
			require.NoError(t, json.Unmarshal(raw, &at))
			first, last = min(first, at.Time), max(last, at.Time)
		}
		require.Len(t, types, 1)
		if len(batch.Events) == MaxBatch {
			full++
		}
		require.LessOrEqual(t, last-first, int64(batchAge.Seconds())+2, "an event waited too long")
	}
	for line, n := range left {
		require.Zero(t, n, "%s", line)
	}
	require.Less(t, full, len(lines)/2)
	require.Equal(t, lines, emitted(t, e))
}

func TestEmitDriftWithoutAScenario(t *testing.T) {
	v, err := schemas.NewValidator()
	require.NoError(t, err)
	smooth, drifted := emitted(t, Emission{Events: 2000}), 0
	for i, line := range emitted(t, Emission{Events: 2000, Drift: 100_000}) {
		verdict := v.Event([]byte(line))
		require.True(t, verdict.Valid)
		if len(verdict.Drift) > 0 {
			drifted++
		} else {
			require.Equal(t, smooth[i], line)
		}
	}
	require.InDelta(t, 200, drifted, 60)
}

func TestEmitUsersAndProgress(t *testing.T) {
	require.ErrorContains(t, Emit(t.Context(), new(bytes.Buffer), Emission{Events: 1, Users: 5}), "needs a scenario")
	for _, batches := range []bool{false, true} {
		done := 0
		people := make(map[string]bool)
		for _, line := range emitted(t, Emission{
			Events: 5000, Scenario: told(t, "starts: {newcomers: 0}"), Users: 40, Batches: batches, Progress: func(n int) { done += n },
		}) {
			var e struct {
				User struct {
					UserID string `json:"user_id"`
				}
			}
			require.NoError(t, json.Unmarshal([]byte(line), &e))
			people[e.User.UserID] = true
		}
		require.Equal(t, 5000, done)
		require.Less(t, len(people), 100)
	}
}

// TestEmitStoriesNeedsNoMemory watches the heap while events stream through it.
func TestEmitStoriesNeedsNoMemory(t *testing.T) {
	most := func(events int) (most uint64) {
		watch := writerFunc(func(p []byte) (int, error) {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
			return len(p), nil
		})
		s := told(t, "rough_edges: {huge: 0%}")
		require.NoError(t, Emit(t.Context(), watch, Emission{Events: events, Scenario: s, Batches: true}))
		return most
	}
	most(1000)
	require.Less(t, most(200_000), uint64(50<<20), "140 MB of events went through")
}
