package load

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

func parsed(t *testing.T, text string) Pace {
	parse := ParseRate
	if strings.Contains(text, ":") {
		parse = ParseRamp
	}
	pace, err := parse(text)
	require.NoError(t, err)
	return pace
}

func TestDue(t *testing.T) {
	for _, row := range casefile.Read(t, "testdata/due.txt", 3) {
		n, err := strconv.ParseUint(row[1], 10, 64)
		require.NoError(t, err)
		due, ok := parsed(t, row[0]).Due(n)
		require.Equal(t, row[2] != "never", ok)
		if want, err := time.ParseDuration(row[2]); ok {
			require.NoError(t, err)
			require.InDelta(t, float64(want), float64(due), 1000, "within a microsecond: %s", row)
		}
	}
	_, ok := Pace{}.Due(1)
	require.False(t, ok)
}

func TestEventsAndRateOfPacers(t *testing.T) {
	for _, row := range casefile.Read(t, "testdata/events.txt", 4) {
		until, err := time.ParseDuration(row[1])
		require.NoError(t, err)
		pace := parsed(t, row[0])
		require.Equal(t, row[2:], []string{fmt.Sprint(pace.Events(until)), fmt.Sprint(pace.Rate(until))}, row)
	}
	require.Greater(t, Max().Events(time.Second), uint64(1e15))
}

func TestParsePacers(t *testing.T) {
	for text, want := range map[string]Pace{"max": Max(), "2000": Constant(2000), "0.5": Constant(0.5)} {
		require.Equal(t, want, parsed(t, text))
		require.Equal(t, text, want.String())
	}
	require.Equal(t, Constant(1500), parsed(t, "1.5k"))
	for _, text := range []string{"", "0", "-1", "fast", "NaN", "Inf", "1e9", "k", "10kk", "100000k"} {
		_, err := ParseRate(text)
		require.Error(t, err, text)
	}
	ramp := parsed(t, "0:5000:2m, 5000:5000:30s")
	require.Equal(t, Ramp(Segment{0, 5000, 2 * time.Minute}, Segment{5000, 5000, 30 * time.Second}), ramp)
	require.Equal(t, "0:5000:2m0s,5000:5000:30s", ramp.String())
	require.Equal(t, 150*time.Second, ramp.Length())
	for _, text := range []string{"", "1:2", "1:2:3", "a:2:1s", "1:b:1s", "1:2:0s", "0:0:1s", "1:2:1s,"} {
		_, err := ParseRamp(text)
		require.ErrorContains(t, err, "FROM:TO:DURATION", text)
	}
}
