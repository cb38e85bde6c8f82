package main

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/gobuild"
)

func TestCount(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "100": 100, "300B": 300, "0.3KB": 300, "64KB": 64000, "10k": 10_000, "1.5m": 1_500_000} {
		n, err := count(text)
		require.NoError(t, err, text)
		require.Equal(t, want, n, text)
	}
	for _, text := range []string{"", "many", "-1", "1GB"} {
		_, err := count(text)
		require.Error(t, err, text)
	}
}

func TestEventsHaveTheirSizeAndAnIDOfTheirOwn(t *testing.T) {
	for _, size := range []int{smallest, 300, 1000, 4000, 64000} {
		s := newSource(row{batch: 10, size: size}, "http://127.0.0.1:1", 1)
		require.InEpsilon(t, size, len(s.body)/10, 0.12)
		one, other := s.numbered(nil, 1), s.numbered(nil, 2)
		require.Len(t, other, len(one))
		for _, at := range s.ids {
			require.NotEqual(t, string(one[at:at+12]), string(other[at:at+12]))
		}
		require.Equal(t, 10, bytes.Count(one, []byte(idMark)))
	}
}

func TestTableOfTheRealProgram(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("CPU of a process is read from /proc, which needs Linux")
	}
	program, err := gobuild.Program(t.TempDir(), "github.com/currentsbridge/currentsbridge/cmd/bridge")
	require.NoError(t, err)
	for _, mode := range []string{"events", "webhook"} {
		var table strings.Builder
		s := settings{bridge: program, mode: mode, queue: "sqlite", batches: []string{"10"}, sizes: []string{"1KB"},
			pending: []string{"0", "200"}, events: "500", connections: 4, latencyFor: 100 * time.Millisecond}
		require.NoError(t, run(t.Context(), s, &table, io.Discard))
		require.Equal(t, 4, strings.Count(table.String(), "\n"), table.String())
		require.Contains(t, table.String(), "| 10 | 1000 | 200 |")
	}
}
