package mockbraze

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/schemas"
)

func emitted(t *testing.T, e Emission) []string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, Emit(t.Context(), &out, e))
	if out.Len() == 0 {
		return nil
	}
	require.True(t, bytes.HasSuffix(out.Bytes(), []byte("\n")))
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

// TestTenOfEachType holds the promise of 1020 events against the glossary.
func TestTenOfEachType(t *testing.T) {
	glossary, err := schemas.Load()
	require.NoError(t, err)
	validator, err := schemas.NewValidator()
	require.NoError(t, err)
	for _, seed := range []uint64{1, 99} {
		lines := emitted(t, Emission{Events: 1020, Seed: seed})
		require.Len(t, lines, 1020)
		count := make(map[string]int)
		seen := make(map[string]bool)
		ids := make(map[string]bool)
		for _, line := range lines {
			verdict := validator.Event([]byte(line))
			require.True(t, verdict.Valid, "%v\n%s", verdict.Errors, line)
			require.Empty(t, verdict.Drift, "%s", line)
			var e struct {
				Type             string `json:"event_type"`
				ID               string
				User, Properties map[string]any
			}
			require.NoError(t, json.Unmarshal([]byte(line), &e))
			count[e.Type]++
			ids[e.ID] = true
			for name, v := range e.User {
				seen[e.Type+" user "+name] = seen[e.Type+" user "+name] || v != nil
			}
			for name, v := range e.Properties {
				seen[e.Type+" "+name] = seen[e.Type+" "+name] || v != nil
			}
		}
		require.Len(t, ids, 1020)
		for _, typ := range glossary.Events {
			if typ.Retired != "" {
				require.Zero(t, count[typ.Name])
				continue
			}
			require.Equal(t, 10, count[typ.Name])
			for _, f := range typ.User {
				require.True(t, seen[typ.Name+" user "+f.Name], "%s user.%s", typ.Name, f.Name)
			}
			for _, f := range typ.Properties {
				require.True(t, seen[typ.Name+" "+f.Name], "%s %s", typ.Name, f.Name)
			}
		}
		require.Equal(t, lines, emitted(t, Emission{Events: 1020, Seed: seed}))
	}
}

func TestEmitBatches(t *testing.T) {
	const n = 102*100 + 250
	want := make(map[string]bool)
	for _, line := range emitted(t, Emission{Events: n, Seed: 4}) {
		want[line] = true
	}
	got := 0
	for _, line := range emitted(t, Emission{Events: n, Seed: 4, Batches: true}) {
		var batch struct{ Events []json.RawMessage }
		require.NoError(t, json.Unmarshal([]byte(line), &batch))
		require.LessOrEqual(t, len(batch.Events), MaxBatch)
		types := make(map[string]bool)
		for _, raw := range batch.Events {
			require.True(t, want[string(raw)], "%s", raw)
			got++
			types[Event{Raw: raw}.complete().Type] = true
		}
		require.Len(t, types, 1)
	}
	require.Equal(t, n, got)
}

func TestEmitNarrowed(t *testing.T) {
	for _, batches := range []bool{false, true} {
		for _, line := range emitted(t, Emission{Events: 30, Types: []string{"users.messages.sms.*", "users.campaigns.Conversion"}, Batches: batches}) {
			require.Regexp(t, `"event_type":"users\.(messages\.sms\.|campaigns\.Conversion)`, line)
		}
	}
	require.Empty(t, emitted(t, Emission{}))
	require.Empty(t, emitted(t, Emission{Batches: true}))
	require.ErrorContains(t, Emit(t.Context(), io.Discard, Emission{Events: 1, Types: []string{"nope"}}), `"nope"`)
	require.ErrorContains(t, Emit(t.Context(), io.Discard, Emission{Events: -1}), "negative")
}

type brokenPipe struct{}

var errBroken = errors.New("broken pipe")

func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }

func TestEmitStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, batches := range []bool{false, true} {
		require.ErrorIs(t, Emit(ctx, io.Discard, Emission{Events: 10, Batches: batches}), context.Canceled)
		require.ErrorIs(t, Emit(t.Context(), brokenPipe{}, Emission{Events: 200_000, Batches: batches}), errBroken)
	}
}

func TestEmitNeedsNoMemory(t *testing.T) {
	// A writer that watches the heap while events stream through it.
	var most uint64
	watch := writerFunc(func(p []byte) (int, error) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapAlloc)
		return len(p), nil
	})
	require.NoError(t, Emit(t.Context(), bufio.NewWriterSize(watch, 16<<20), Emission{Events: 100_000, Batches: true}))
	require.NotZero(t, most)
	require.Less(t, most, uint64(50<<20), "75 MB of events went through")
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
