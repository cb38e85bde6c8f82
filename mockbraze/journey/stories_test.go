package journey

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockbraze/scenario"
	"github.com/currentsbridge/currentsbridge/schemas"
)

func builtin(t testing.TB, name string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Builtin(name)
	require.NoError(t, err)
	return s
}

func stories(t testing.TB, seed uint64, s *scenario.Scenario, types ...string) *Stories {
	t.Helper()
	out, err := NewStories(StoriesConfig{Glossary: glossary(t), Seed: seed, Scenario: s, Types: types})
	require.NoError(t, err)
	return out
}

// TestEventsOfEveryScenarioAreValid also counts the types of each stretch of
// 20,000 events.
func TestEventsOfEveryScenarioAreValid(t *testing.T) {
	v, err := schemas.NewValidator()
	require.NoError(t, err)
	for _, name := range scenario.Names() {
		t.Run(name, func(t *testing.T) {
			s := stories(t, 1, builtin(t, name))
			var buf []byte
			var before time.Time
			count := make(map[string]int)
			events := 20_000
			if name == "steady" { // the later stretches are of the same make
				events = 40_000
			}
			for i := range events {
				event, typ, at := s.Next(buf[:0])
				buf = event
				if verdict := v.Event(event); !verdict.Valid || len(verdict.Drift) > 0 {
					t.Fatalf("%v %v\n%.3000s", verdict.Errors, verdict.Drift, event)
				}
				if at.Before(before) || len(event) > 900_000 {
					t.Fatalf("%d bytes at %s, after %s", len(event), at, before)
				}
				before = at
				count[typ]++
				if i%20_000 == 19_999 {
					require.Len(t, count, len(glossary(t).Current()), "%d: %v", i, missing(s, count))
					t.Logf("%d events by %s, %d to come", i+1, at, len(s.agenda.heap))
					clear(count)
				}
			}
		})
	}
}

func missing(s *Stories, count map[string]int) (list []string) {
	for _, name := range s.names {
		if count[name] == 0 {
			list = append(list, name)
		}
	}
	return list
}

func digestOf(s *Stories, n int) string {
	sum := sha256.New()
	var buf []byte
	for range n {
		buf, _, _ = s.Next(buf[:0])
		sum.Write(append(buf, '\n'))
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

func BenchmarkStories(b *testing.B) {
	for _, name := range scenario.Names() {
		b.Run(name, func(b *testing.B) {
			s := stories(b, 1, builtin(b, name))
			var buf []byte
			var size int64
			b.ReportAllocs()
			for b.Loop() {
				buf, _, _ = s.Next(buf[:0])
				size += int64(len(buf))
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(size)/float64(b.N), "bytes/event")
			b.ReportMetric(float64(len(s.agenda.slab)), "agenda")
			runtime.KeepAlive(s)
		})
	}
}
