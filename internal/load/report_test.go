package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

func sample(t *testing.T) *Report {
	var r *Report
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, stalling(3*time.Second, 5*time.Second), Ramp(Segment{500, 1000, 4 * time.Second}, Segment{1000, 1000, 6 * time.Second}), 0)
		cfg.WarmUp = time.Second
		cfg.Thresholds = conditions(t, "p99<200ms,errors==0")
		r = do(t, cfg)
	})
	return r
}

// golden holds what is written against a file of testdata.
func golden(t *testing.T, file string, write func(io.Writer) error) string {
	var out strings.Builder
	require.NoError(t, write(&out))
	require.Equal(t, casefile.Text(t, filepath.Join("testdata", file)), out.String())
	return out.String()
}

// The names of the JSON are a contract; docs/load.md lists them.
func TestTextAndJSONReport(t *testing.T) {
	r := sample(t)
	r.Process = Process{CPUSeconds: 1.25, CPUShare: 0.0625}
	times := Latencies{P50: 1.5, P90: 2, P95: 2, P99: 25, P999: 26, Max: 3000, Mean: 4}
	r.Verify = &Verification{Acked: 8400, Arrived: 8400, FromAnswer: times, FromIntended: times}
	golden(t, "report.txt", r.WriteText)
	docs := casefile.Text(t, "../../docs/load.md")
	for _, name := range regexp.MustCompile(`"([a-zA-Z_0-9.]+)":`).FindAllStringSubmatch(golden(t, "report.json", r.WriteJSON), -1) {
		require.Contains(t, docs, "`"+name[1]+"`", "docs/load.md does not say what it is")
	}
}

// The page loads nothing from elsewhere.
func TestHTMLReport(t *testing.T) {
	r := sample(t)
	r.Target, r.Interrupted, r.Process = `<b>"now"</b>`, true, Process{CPUSeconds: 1.25, CPUShare: 0.0625}
	var out strings.Builder
	require.NoError(t, r.WriteHTML(&out))
	page := out.String()
	style := casefile.Text(t, "../reportfile/style.css")
	golden(t, "report.html", func(w io.Writer) error { // which names the style that all reports share
		_, err := strings.NewReplacer(style, "(style.css)\n").WriteString(w, page)
		return err
	})
	require.Contains(t, page, "prefers-color-scheme: dark")
	require.NotRegexp(t, `(?i)(src|href)\s*=|url\(|@import|<script|<link|http-equiv`, page)
	require.NotContains(t, page, "<b>\"now\"")
}

// A run in which nothing happened has a report, too.
func TestReportOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, stalling(0, 0), Constant(0.001), 10*time.Second)
		cfg.WarmUp = 5 * time.Second // the only batch is in it
		r := do(t, cfg)
		require.Zero(t, r.Events.Sent)
		dir := t.TempDir()
		for _, file := range []string{"a.json", "a.html"} {
			require.NoError(t, r.WriteFile(filepath.Join(dir, file)))
			text := casefile.Text(t, filepath.Join(dir, file))
			require.NotContains(t, text, "NaN")
		}
		require.ErrorContains(t, r.WriteFile(filepath.Join(dir, "a.pdf")), "FILE.json or FILE.html")
		require.Error(t, r.WriteFile(filepath.Join(dir, "no", "a.json")))
	})
}

func TestLongRunsAreBinned(t *testing.T) {
	series := make([]Second, 1000)
	for i := range series {
		series[i] = Second{At: i, Sent: 10, Acked: 10, Wanted: 10, P99: 5, Statuses: map[string]uint64{"200": 1}}
	}
	series[777].P99 = 5000
	all := bins(series)
	for n := range len(series) + 1 {
		require.LessOrEqual(t, len(bins(series[:n])), maxPoints)
	}
	sent, worst, answers := uint64(0), 0.0, uint64(0)
	for _, b := range all {
		sent += b.Sent
		worst = max(worst, b.P99)
		answers += b.Statuses["200"]
		require.InDelta(t, 10, b.Wanted, 1e-9)
	}
	require.EqualValues(t, 10_000, sent)
	require.EqualValues(t, 1000, answers)
	require.InDelta(t, 5000, worst, 1e-9, "nothing bad is averaged away")
	require.Equal(t, map[string]uint64{"200": 1}, series[0].Statuses, "the series itself stays")
}

func TestAnswersOverTime(t *testing.T) {
	var all []string
	seconds := []Second{{Statuses: map[string]uint64{"0": 1, "429": 2}}, {Statuses: map[string]uint64{"200": 3}}}
	for _, c := range answersOver(bins(seconds)) {
		all = append(all, fmt.Sprint(c.Name, " ", c.Class, c.points))
	}
	require.Equal(t, []string{"no answer s0[[0.5 1] [0.5 0]]", "200 s2[[0.5 0] [0.5 3]]", "429 s4[[0.5 2] [0.5 0]]"}, all)
}

// Where nothing was answered or arrived there is no latency, not one of 0 ms.
func TestReportsWithoutMeasurements(t *testing.T) {
	r := sample(t)
	r.Latency, r.Verify, r.Refused = LatencyPair{}, &Verification{}, make([]Refusal, maxRefused+3)
	var text, page, machine bytes.Buffer
	require.NoError(t, r.WriteText(&text))
	for _, name := range []string{"intended", "service", "answer to far end", "intended to far end"} {
		require.Regexp(t, `(?m)^`+name+` +none$`, text.String())
	}
	require.Regexp(t, `(?m)^refused +and 3 more; all are in`, text.String())
	require.NoError(t, r.WriteHTML(&page))
	for _, name := range []string{"intended", "service", "answer to far end", "intended to far end"} {
		require.Contains(t, page.String(), `<tr><td>`+name+`</td><td class="n" colspan="6">none</td></tr>`)
	}
	require.Equal(t, 3, strings.Count(page.String(), `<b>none</b>`), "of the tiles")
	require.NotContains(t, page.String(), ">0.00 ms<")
	require.NoError(t, r.WriteJSON(&machine))
	var got struct{ Latency, Verify map[string]any }
	require.NoError(t, json.Unmarshal(machine.Bytes(), &got))
	require.Empty(t, got.Latency)
	require.NotContains(t, got.Verify, "from_answer_ms")
	require.NotContains(t, got.Verify, "from_intended_ms")
	require.Contains(t, got.Verify, "arrived")
}

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
