package load

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
	tests := []struct {
		text   string
		ok     bool
		actual string
	}{
		{"p50<501ms", true, "500.2 ms"},
		{"p50<500ms", false, "500.2 ms"},
		{"p90 <= 1s", true, "900.1 ms"},
		{"p95>900ms", true, "950.3 ms"},
		{"p99<0.9s", false, "990.2 ms"},
		{"p999>=1s", true, "1.00 s"},
		{"max<2s", true, "1.00 s"},
		{"mean<506ms", true, "505.0 ms"},
		{"service_p50<51ms", true, "50.0 ms"},
		{"service_p99<50ms", false, "99.0 ms"},
		{"service_max<=200ms", true, "100.0 ms"},
		{"errors==100", true, "100"},
		{"errors!=100", false, "100"},
		{"errors<=1%", true, "1.000%"},
		{"errors<1%", false, "1.000%"},
		{"late<6", true, "5"},
		{"late<5%", false, "5.000%"},
		{"dropped==0", false, "2"},
		{"dropped<=2%", true, "2.000%"},
		{"acked>=99%", true, "99.000%"},
		{"acked==9900", true, "9900"},
		{"rate>=1000", true, "1000.0"},
		{"rate>1000", false, "1000.0"},
		{"lost==0", false, "10"},
		{"lost<1%", true, "0.100%"},
		{"duplicated<=20", true, "20"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			c := conditions(t, tt.text)
			require.Len(t, c, 1)
			got := c[0].result(measured())
			require.Equal(t, tt.ok, got.OK)
			require.Equal(t, tt.actual, got.Actual)
			require.Equal(t, strings.ReplaceAll(tt.text, " ", ""), got.Expression)
		})
	}
}

func TestConditionsWithoutAMeasurementFail(t *testing.T) {
	empty := &Report{Verify: &Verification{Problem: "the far end was reset"}}
	for _, c := range conditions(t, "p99<1h,p99>=0s,rate>=0,errors<100%,late<100%,lost==0,duplicated>=0") {
		r := c.result(empty)
		require.False(t, r.OK, r.Expression)
	}
	require.Equal(t, "not known: the far end was reset", conditions(t, "lost==0")[0].result(empty).Actual)
}

func TestMistakesInConditionsAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		"":              "there is no condition",
		"p99":           "one of < <=",
		"p98<1s":        `unknown name "p98"`,
		"service_p98<1": `unknown name "service_p98"`,
		"p99<200":       "with its unit",
		"p99=<1s":       "one of < <=",
		"p99=1s":        "one of < <=",
		"p99===1s":      "one of < <=",
		"errors<many":   `"many"`,
		"errors<-1":     `"-1"`,
		"errors<NaN":    `"NaN"`,
		"rate>90%":      `"90%" is no number that rate can have`,
		"p99<10%":       "with its unit",
		"service_late<": "unknown name",
	} {
		_, err := ParseConditions(text)
		require.ErrorContains(t, err, want, text)
	}
	_, err := ParseConditions("p98<1s, errors==0, p99<2")
	require.ErrorContains(t, err, "p98<1s")
	require.ErrorContains(t, err, "p99<2")
	require.NotContains(t, err.Error(), "errors==0")
}
