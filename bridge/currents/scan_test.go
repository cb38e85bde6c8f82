package currents_test

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
)

func scan(t *testing.T, body string) []currents.Event {
	var batch currents.Batch
	require.NoError(t, batch.Scan([]byte(body)))
	return batch.Events
}

// scanOne scans a body whose only event is given.
func scanOne(t *testing.T, event string) currents.Event {
	events := scan(t, `{"events":[`+event+`]}`)
	require.Len(t, events, 1)
	return events[0]
}

// Of very many elements that are no objects, consecutive ones share an Event.
func TestScanCountsElementsThatAreNoObjects(t *testing.T) {
	single := strings.Repeat("1,{},", currents.MaxSingle/2) + strings.Repeat("2,", currents.MaxSingle/2)
	for range 2 {
		events := scan(t, `{"events":[5,6],"events":[`+single+`3,4,{},5,6,7]}`)
		require.Len(t, events, currents.MaxSingle+currents.MaxSingle/2+2)
		for _, e := range events[:len(events)-3] {
			require.Equal(t, 1, e.Count)
		}
		var counts []int
		for _, e := range events[len(events)-3:] {
			counts = append(counts, e.Count)
		}
		require.Equal(t, []int{3, 1, 3}, counts)
	}
}

// The rows are bodies that are taken, have no events, or are not JSON.
func TestScanOfUnusualBodies(t *testing.T) {
	var batch currents.Batch
	for want, body := range rows(t, "bodies.txt") {
		require.NoError(t, batch.Scan([]byte(`{"events":[{}]}`)))
		switch err := batch.Scan([]byte(body)); want {
		case "ok":
			require.NoError(t, err, body)
		case "none":
			require.ErrorIs(t, err, currents.ErrNoEvents, body)
			require.Empty(t, batch.Events)
		default:
			require.ErrorIs(t, err, currents.ErrNotJSON, body)
			require.Empty(t, batch.Events)
		}
	}
}

func nest(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

// TestScanSurvivesDepth nests far deeper than a goroutine's stack would allow.
func TestScanSurvivesDepth(t *testing.T) {
	defer debug.SetMaxStack(debug.SetMaxStack(16 << 20)) // what calls itself would need more
	const depth = 1 << 20
	bodies := map[string]string{
		"arrays never closed":           strings.Repeat("[", 2*depth),
		"arrays in an event":            `{"events":[{"properties":{"a":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}}]}`,
		"objects in an event":           `{"events":[{"a":` + strings.Repeat(`{"":`, depth/4) + `1` + strings.Repeat("}", depth/4) + `}]}`,
		"arrays for a time in an event": `{"events":[{"event_type":` + nest(depth/4) + `,"time":` + nest(depth/4) + `,"id":` + nest(depth/4) + `,"properties":` + nest(depth/4) + `}]}`,
		"closed the wrong way":          `{"events":[` + strings.Repeat("[", depth) + strings.Repeat("]", depth-1) + `}]}`,
	}
	for name, text := range bodies {
		t.Run(name, func(t *testing.T) {
			body := []byte(text)
			var batch currents.Batch
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := batch.Scan(body)
			runtime.ReadMemStats(&after)
			require.Equal(t, strings.HasSuffix(name, "event"), err == nil, "%v", err)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(len(body)))
		})
	}
}

// TestScanKnowsBracketsApart closes mixed brackets across the word of 64.
func TestScanKnowsBracketsApart(t *testing.T) {
	var opened, closed string
	var batch currents.Batch
	for depth := range 200 {
		if depth%3 == 0 {
			opened, closed = opened+`{"a":`, `}`+closed
		} else {
			opened, closed = opened+`[`, `]`+closed
		}
		require.NoError(t, batch.Scan([]byte(`{"events":[`+opened+`1`+closed+`]}`)))
		for i := range closed {
			wrong := []byte(closed)
			wrong[i] ^= ']' ^ '}'
			require.ErrorIs(t, batch.Scan([]byte(`{"events":[`+opened+`1`+string(wrong)+`]}`)), currents.ErrNotJSON)
		}
	}
}

func TestScanLimit(t *testing.T) {
	batch := currents.Batch{Limit: 2}
	require.NoError(t, batch.Scan([]byte(`{"events":[{},{}]}`)))
	require.ErrorIs(t, batch.Scan([]byte(`{"events":[{},{},{}]}`)), currents.ErrTooManyEvents)
	require.Empty(t, batch.Events)
	require.ErrorIs(t, batch.Scan([]byte(`{"events":[{},{},{},{},{]}`)), currents.ErrNotJSON)
	require.NoError(t, batch.Scan([]byte(`{"events":[1,2,3],"events":[{}]}`)))
	require.Len(t, batch.Events, 1)
	many := []byte(`{"events":[` + strings.Repeat("1,", 1<<20) + `1]}`)
	require.ErrorIs(t, batch.Scan(many), currents.ErrTooManyEvents)
	require.LessOrEqual(t, cap(batch.Events), 8, "events beyond the limit take memory")
}

func TestScanEvent(t *testing.T) {
	var batch currents.Batch
	for range 2 {
		require.NoError(t, batch.ScanEvent([]byte(" {\"id\":7,\"properties\":{\"a.b\":1}}\n")))
		require.Len(t, batch.Events, 1)
		e := batch.Events[0]
		require.Equal(t, [2]int{1, 32}, [2]int{e.Start, e.End})
		require.Equal(t, "7", string(e.ID))
	}
	require.NoError(t, batch.ScanEvent([]byte(`[1]`)))
	require.Equal(t, []currents.Event{{Start: 0, End: 3, Count: 1}}, batch.Events)
	for body, read := range map[string]int{``: 0, `{}{}`: 3, `{"a":}`: 6, `{`: 1, `1,`: 2, `{} x`: 4} {
		require.EqualError(t, batch.ScanEvent([]byte(body)), fmt.Sprintf("body is not JSON: stops being valid within its first %d bytes", read), body)
		require.Empty(t, batch.Events)
	}
}

func TestResetKeepsTheLimit(t *testing.T) {
	batch := currents.Batch{Limit: 7}
	require.NoError(t, batch.Scan([]byte(`{"events":[{"\u0069d":"x"}]}`)))
	batch.Reset()
	require.Equal(t, currents.Batch{Limit: 7}, batch)
}

func TestIsBlank(t *testing.T) {
	for body, want := range map[string]bool{"": true, " \t\r\n": true, "{}": false, " x": false, "\v": false, "\u00a0": false} {
		require.Equal(t, want, currents.IsBlank([]byte(body)), "%q", body)
	}
}
