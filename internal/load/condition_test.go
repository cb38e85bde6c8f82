package load

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

// measured is a hundred batches of 100 events, from 1 to 100 ms of service and
// ten times that from the intended instant.
func measured() *Report {
	times := newTimes(3)
	for i := range 100 {
		record(times.service, time.Duration(i+1)*time.Millisecond)
		record(times.intended, time.Duration(i+1)*10*time.Millisecond)
	}
	return &Report{
		Events:  EventCounts{Sent: 10_000, Acked: 9_900, Refused: 60, Failed: 40},
		Batches: BatchCounts{Intended: 100, Started: 98, Late: 5, Dropped: 2},
		Latency: LatencyPair{latenciesOf(times.service), latenciesOf(times.intended)},
		Rate:    Rates{Reached: 1000}, measured: 10,
		Verify: &Verification{Acked: 10_000, Lost: 10, Duplicated: 20},
	}
}

func TestConditions(t *testing.T) {
	for _, row := range casefile.Read(t, "testdata/conditions.txt", 3) { // condition, whether it holds, the actual value
		c := conditions(t, row[0])
		require.Len(t, c, 1)
		want := ThresholdResult{Expression: strings.ReplaceAll(row[0], " ", ""), Actual: row[2], OK: row[1] == "true"}
		require.Equal(t, want, c[0].result(measured()))
	}
}

func TestConditionsWithoutAMeasurementFail(t *testing.T) {
	empty := &Report{Verify: &Verification{Problem: "the far end was reset"}}
	for _, c := range conditions(t, "p99<1h,p99>=0s,rate>=0,errors<100%,late<100 %,lost==0,duplicated>=0") {
		r := c.result(empty)
		require.False(t, r.OK, r.Expression)
	}
	require.Equal(t, "not known: the far end was reset", conditions(t, "lost==0")[0].result(empty).Actual)
}

func TestMistakesInConditionsAreNamed(t *testing.T) {
	for _, row := range casefile.Read(t, "testdata/mistakes.txt", 2) {
		_, err := ParseConditions(row[0])
		require.ErrorContains(t, err, row[1])
	}
	_, err := ParseConditions("p98<1s, errors==0, p99<2")
	require.ErrorContains(t, err, "p98<1s")
	require.ErrorContains(t, err, "p99<2")
	require.NotContains(t, err.Error(), "errors==0")
}
