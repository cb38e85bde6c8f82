package load

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPacers(t *testing.T) {
	ramp := Ramp(Segment{From: 0, To: 1000, For: 10 * time.Second}, Segment{From: 1000, To: 1000, For: 5 * time.Second}, Segment{From: 1000, To: 0, For: 10 * time.Second})
	tests := []struct {
		name  string
		pace  Pace
		n     uint64
		due   time.Duration
		never bool
	}{
		{"the first is due at once", Constant(10), 0, 0, false},
		{"a tenth of a second each", Constant(10), 7, 700 * time.Millisecond, false},
		{"after a day nothing has drifted", Constant(3), 3 * 86400, 24 * time.Hour, false},
		{"below one a second", Constant(0.5), 3, 6 * time.Second, false},
		{"all at once", Max(), 1e9, 0, false},
		{"a ramp begins", ramp, 0, 0, false},
		{"half the way up a quarter is due", ramp, 1250, 5 * time.Second, false},
		{"at the top", ramp, 5000, 10 * time.Second, false},
		{"on the plateau", ramp, 7500, 12500 * time.Millisecond, false},
		{"half the way down", ramp, 13750, 20 * time.Second, false},
		{"nothing is due after the rate fell to zero", ramp, 15001, 0, true},
		{"after the last segment the rate stays", Ramp(Segment{From: 10, To: 20, For: 2 * time.Second}), 50, 3 * time.Second, false},
		{"a ramp with one rate is that rate", Ramp(Segment{From: 10, To: 10, For: time.Second}), 5, 500 * time.Millisecond, false},
		{"no rate", Pace{}, 1, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			due, ok := tt.pace.Due(tt.n)
			require.Equal(t, !tt.never, ok)
			require.InDelta(t, float64(tt.due), float64(due), 1000, "within a microsecond: %s", due)
		})
	}
}

func TestEventsAndRateOfPacers(t *testing.T) {
	ramp := Ramp(Segment{From: 0, To: 1000, For: 10 * time.Second}, Segment{From: 500, To: 500, For: 2 * time.Second})
	tests := []struct {
		pace   Pace
		until  time.Duration
		events uint64
		rate   float64
	}{
		{Constant(2000), 0, 0, 2000},
		{Constant(2000), time.Minute, 120_000, 2000},
		{Constant(0.3), 10 * time.Second, 3, 0.3},
		{Constant(0.3), 11 * time.Second, 4, 0.3},
		{ramp, 5 * time.Second, 1250, 500},
		{ramp, 11 * time.Second, 5500, 500},
		{ramp, 20 * time.Second, 10_000, 500},
	}
	for _, tt := range tests {
		require.Equal(t, tt.events, tt.pace.Events(tt.until), "%s until %s", tt.pace, tt.until)
		require.InDelta(t, tt.rate, tt.pace.Rate(tt.until), 1e-9)
	}
	require.Greater(t, Max().Events(time.Second), uint64(1e15))
}

// Due and Events are each other's inverse, and instants never go back.
func TestDueAndEventsAgree(t *testing.T) {
	for _, p := range []Pace{
		Constant(2000), Constant(333.3), Ramp(Segment{0, 5000, time.Minute}, Segment{5000, 100, 30 * time.Second}, Segment{100, 100, time.Second}),
	} {
		last := time.Duration(-1)
		for n := uint64(0); n < 100_000; n += 100 {
			due, ok := p.Due(n)
			require.True(t, ok)
			require.Greater(t, due, last)
			last = due
			require.LessOrEqual(t, p.Events(due), n+1)
			require.GreaterOrEqual(t, p.Events(due+time.Microsecond), n)
		}
	}
}

func TestParsePacers(t *testing.T) {
	for text, want := range map[string]Pace{"max": Max(), "2000": Constant(2000), "0.5": Constant(0.5)} {
		got, err := ParseRate(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, text, got.String())
	}
	thousands, err := ParseRate("1.5k")
	require.NoError(t, err)
	require.Equal(t, Constant(1500), thousands)
	for _, text := range []string{"", "0", "-1", "fast", "NaN", "Inf", "1e9", "k", "10kk", "100000k"} {
		_, err := ParseRate(text)
		require.Error(t, err, text)
	}
	ramp, err := ParseRamp("0:5000:2m, 5000:5000:30s")
	require.NoError(t, err)
	require.Equal(t, Ramp(Segment{0, 5000, 2 * time.Minute}, Segment{5000, 5000, 30 * time.Second}), ramp)
	require.Equal(t, "0:5000:2m0s,5000:5000:30s", ramp.String())
	require.Equal(t, 150*time.Second, ramp.Length())
	for _, text := range []string{"", "1:2", "1:2:3", "a:2:1s", "1:b:1s", "1:2:0s", "0:0:1s", "1:2:1s,"} {
		_, err := ParseRamp(text)
		require.ErrorContains(t, err, "FROM:TO:DURATION", text)
	}
}
