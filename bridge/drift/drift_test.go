package drift_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/drift"
)

// gather returns bridge_drift_total by event type and field.
func gather(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	require.Len(t, families, 2)
	require.Equal(t, "bridge_drift_total", families[0].GetName())
	require.Equal(t, "bridge_redacted_total", families[1].GetName())
	values := make(map[string]float64)
	for _, m := range families[0].GetMetric() {
		require.Equal(t, "event_type", m.GetLabel()[0].GetName())
		require.Equal(t, "field", m.GetLabel()[1].GetName())
		values[m.GetLabel()[0].GetValue()+"|"+m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
	}
	return values
}

func TestCount(t *testing.T) {
	var log bytes.Buffer
	registry := prometheus.NewRegistry()
	now := time.Unix(1700000000, 0)
	w := drift.New(drift.Config{
		Log: slog.New(slog.NewTextHandler(&log, nil)), Registerer: registry, Now: func() time.Time { return now },
	})
	require.Empty(t, w.List())
	w.Count([]byte("new.Type"), nil)
	now = now.Add(time.Minute)
	w.Count([]byte("known.Type"), []byte("properties.b"))
	w.Count([]byte("known.Type"), []byte("properties.a"))
	now = now.Add(time.Minute)
	w.Count([]byte("known.Type"), []byte("properties.b"))

	first, minute := time.Unix(1700000000, 0), time.Minute
	require.Equal(t, []drift.Item{
		{"known.Type", "properties.a", 1, first.Add(minute), first.Add(minute)},
		{"known.Type", "properties.b", 2, first.Add(minute), first.Add(2 * minute)},
		{"new.Type", "", 1, first, first},
	}, w.List())
	require.Equal(t, map[string]float64{"known.Type|properties.a": 1, "known.Type|properties.b": 2, "new.Type|": 1}, gather(t, registry))
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	require.Len(t, lines, 3, "each name once: %s", log.String())
	require.Contains(t, lines[0], "level=INFO")
	require.Contains(t, lines[0], "event_type=new.Type")
	require.NotContains(t, lines[0], " field=")
	require.Contains(t, lines[1], "event_type=known.Type field=properties.b")
}

// TestBounded: names come from outside, so there is an end to them.
func TestBounded(t *testing.T) {
	var log bytes.Buffer
	registry := prometheus.NewRegistry()
	w := drift.New(drift.Config{Registerer: registry, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for range 2 {
		for i := range drift.MaxItems + 50 {
			w.Count([]byte(fmt.Sprint("type", i%3)), []byte(fmt.Sprint("field", i)))
		}
	}
	list := w.List()
	require.Len(t, list, drift.MaxItems+1)
	require.Len(t, gather(t, registry), drift.MaxItems+1)
	require.Equal(t, drift.MaxItems+1, strings.Count(log.String(), "\n"))
	total := uint64(0)
	for _, i := range list {
		total += i.Count
		if i.EventType == drift.Other {
			require.Equal(t, drift.Other, i.Field)
			require.EqualValues(t, 100, i.Count)
		} else {
			require.EqualValues(t, 2, i.Count)
		}
	}
	require.EqualValues(t, 2*(drift.MaxItems+50), total, "what has no room is still counted")
}

func TestNamesAreMadeSafe(t *testing.T) {
	registry := prometheus.NewRegistry()
	w := drift.New(drift.Config{Registerer: registry})
	long := strings.Repeat("a", 99)
	for in, want := range map[string]string{
		"plain name": "plain name", "é😀": "é😀", "a\nb\x00c\x7f\u0085\u202e": "a\ufffdb\ufffdc\ufffd\ufffd\ufffd", "\xff\xed\xa0\x80": strings.Repeat("\ufffd", 4),
		long + "b": long + "b", long + "cd": long + "c", long + "é": long, strings.Repeat("\xff", 5000): strings.Repeat("\ufffd", 33),
	} {
		w.Count([]byte(in), []byte(in))
		found := false
		for _, i := range w.List() {
			require.True(t, utf8.ValidString(i.EventType))
			require.LessOrEqual(t, len(i.Field), 100)
			found = found || i.EventType == want && i.Field == want
		}
		require.True(t, found, "%q", in)
	}
	gather(t, registry) // which minds labels that are not UTF-8
	before := len(w.List())
	w.Count([]byte(long+"b and more"), []byte(long+"b and much more"))
	require.Len(t, w.List(), before, "names that are cut alike are one")
}

func TestBegin(t *testing.T) {
	w := drift.New(drift.Config{})
	event := func(i int) []byte { return fmt.Appendf(nil, `{"id":%d}`, i) }
	const remembered = 16 << 10
	for i := range 2*remembered + 1 {
		require.True(t, w.Begin(event(i)))
	}
	for _, i := range []int{remembered + 1, 2*remembered - 1, 2 * remembered} {
		require.False(t, w.Begin(event(i)), i)
	}
	require.True(t, w.Begin(event(0)), "old ones are forgotten")
}

// TestForget: with a newer glossary there is room for as many names again.
func TestForget(t *testing.T) {
	registry := prometheus.NewRegistry()
	w := drift.New(drift.Config{Registerer: registry})
	for range 2 {
		for i := range drift.MaxItems {
			w.Count([]byte("t"), fmt.Append(nil, i))
		}
		require.Len(t, w.List(), drift.MaxItems)
		require.EqualValues(t, 1, w.List()[0].Count)
		w.Forget()
		require.Empty(t, w.List())
	}
	require.EqualValues(t, 2, gather(t, registry)["t|0"])
}

// TestSharedSafely is for the race detector.
func TestSharedSafely(t *testing.T) {
	w := drift.New(drift.Config{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 100 {
				w.Begin(fmt.Appendf(nil, "%d-%d", i, j))
				w.Count([]byte("t"), fmt.Append(nil, j%60))
				w.List()
			}
		})
	}
	wg.Wait()
	total := uint64(0)
	for _, i := range w.List() {
		total += i.Count
	}
	require.EqualValues(t, 800, total)
}

func BenchmarkCount(b *testing.B) {
	w := drift.New(drift.Config{})
	event, eventType, field := bytes.Repeat([]byte("x"), 1000), []byte("users.messages.email.Open"), []byte("properties.new_field")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		event[0], event[1], event[2] = byte(i), byte(i>>8), byte(i>>16)
		if w.Begin(event) {
			w.Count(eventType, field)
		}
	}
}
