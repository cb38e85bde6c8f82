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

func TestEventsHaveTheirSizeAndAnIDOfTheirOwn(t *testing.T) {
	for _, size := range []int{smallest, 300, 1000, 4000, 64000} {
		s := newSource(row{batch: 10, size: size}, "http://127.0.0.1:1")
		require.InEpsilon(t, size, len(s.body)/10, 0.12)
		one, other := s.next(), s.next()
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
		s := settings{bridge: program, mode: mode, queue: "sqlite", batches: []int{10}, sizes: []int{1000},
			pending: []int{0, 200}, events: 500, latencyFor: 100 * time.Millisecond}
		require.NoError(t, run(t.Context(), s, &table, io.Discard))
		require.Equal(t, 4, strings.Count(table.String(), "\n"), table.String())
		require.Contains(t, table.String(), "| 10 | 1000 | 200 |")
	}
}
