package drift_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/drift"
)

// newWatch returns a Watch, its log, and what its bridge_drift_total is by event type
// and field.
func newWatch(t *testing.T) (w *drift.Watch, log *bytes.Buffer, metric func() map[string]float64) {
	registry := prometheus.NewRegistry()
	log = &bytes.Buffer{}
	metric = func() map[string]float64 {
		families, err := registry.Gather() // which minds labels that are not UTF-8
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
	return drift.New(drift.Config{Registerer: registry, Log: slog.New(slog.NewTextHandler(log, nil))}), log, metric
}

func TestCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, log, metric := newWatch(t)
		require.Empty(t, w.List())
		first, minute := time.Now(), time.Minute
		w.Count([]byte("new.Type"), nil)
		time.Sleep(minute)
		w.Count([]byte("known.Type"), []byte("properties.b"))
		w.Count([]byte("known.Type"), []byte("properties.a"))
		time.Sleep(minute)
		w.Count([]byte("known.Type"), []byte("properties.b"))

		require.Equal(t, []drift.Item{
			{"known.Type", "properties.a", 1, first.Add(minute), first.Add(minute)},
			{"known.Type", "properties.b", 2, first.Add(minute), first.Add(2 * minute)},
			{"new.Type", "", 1, first, first},
		}, w.List())
		require.Equal(t, map[string]float64{"known.Type|properties.a": 1, "known.Type|properties.b": 2, "new.Type|": 1}, metric())
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		require.Len(t, lines, 3, "each name once: %s", log.String())
		require.Contains(t, lines[0], "level=INFO")
		require.Contains(t, lines[0], "event_type=new.Type")
		require.NotContains(t, lines[0], " field=")
		require.Contains(t, lines[1], "event_type=known.Type field=properties.b")
	})
}

// TestBounded: names come from outside, so there is an end to them. With a newer
// glossary there is room for as many again.
func TestBounded(t *testing.T) {
	w, log, metric := newWatch(t)
	for range 2 {
		log.Reset()
		for range 2 {
			for i := range drift.MaxItems + 50 {
				w.Count([]byte(fmt.Sprint("type", i%3)), []byte(fmt.Sprint("field", i)))
			}
		}
		list := w.List()
		require.Len(t, list, drift.MaxItems+1)
		require.Equal(t, drift.MaxItems+1, strings.Count(log.String(), "\n"))
		for _, i := range list {
			if i.EventType == drift.Other {
				require.Equal(t, drift.Other, i.Field)
				require.EqualValues(t, 100, i.Count, "what has no room is still counted")
			} else {
				require.EqualValues(t, 2, i.Count)
			}
		}
		w.Forget()
		require.Empty(t, w.List())
	}
	require.Len(t, metric(), drift.MaxItems+1)
	require.EqualValues(t, 4, metric()["type0|field0"])
}

func TestNamesAreMadeSafe(t *testing.T) {
	w, _, metric := newWatch(t)
	long := strings.Repeat("a", 99)
	for in, want := range map[string]string{
		"plain name": "plain name", "é😀": "é😀", "a\nb\x00c\x7f\u0085\u202e": "a\ufffdb\ufffdc\ufffd\ufffd\ufffd", "\xff\xed\xa0\x80": strings.Repeat("\ufffd", 4),
		long + "b": long + "b", long + "cd": long + "c", long + "é": long, strings.Repeat("\xff", 5000): strings.Repeat("\ufffd", 33),
		strings.Repeat("\U000e0001", 5000): strings.Repeat("\ufffd", 33),
	} {
		w.Count([]byte(in), []byte(in))
		require.Contains(t, metric(), want+"|"+want, "%q", in)
		require.True(t, slices.ContainsFunc(w.List(), func(i drift.Item) bool { return i.EventType == want && i.Field == want }), "%q", in)
	}
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
