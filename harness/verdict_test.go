package harness

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/harness/oracle"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

// goodRun is the evidence of a run of 100 events, one of them dead, with two
// duplicates that a kill and a lost answer explain.
func goodRun() evidence {
	return evidence{
		tally: oracle.Tally{
			Sent: 100, Acked: 100, Awaited: 99, Delivered: 99, Dead: 1, DeadLettered: 1, Duplicates: 2, TypesSent: 96, TypesDelivered: 95,
			Notes: []string{"a remark"},
		},
		ledger:   Ledger{Received: 110, Duplicates: 10, Accepted: 100, Delivered: 99, Dead: 1},
		answered: 100, unanswered: 10,
		faults: map[string]int{"429": 2, "close stored": 1}, wanted: []string{"429"},
		crashes: 1, wantedCrashes: 1, inFlight: 20, perPost: 5, lostAnswers: 1,
		duration: 2 * time.Second,
	}
}

func TestVerdictOfAGoodRun(t *testing.T) {
	r := judge(goodRun())
	require.Equal(t, Report{
		Verdict: Pass, Sent: 100, Acked: 100, Delivered: 99, Duplicates: 2, Dead: 1,
		TypesSent: 96, TypesDelivered: 95, Crashes: 1, Duration: 2, PerSecond: 49.5,
		Faults: map[string]int{"429": 2, "close stored": 1}, DuplicateBound: 25,
	}, r)
	require.True(t, r.Passed())
}

func TestVerdictFailsForEachReason(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*evidence)
		why   string
	}{
		{"lost", func(e *evidence) {
			e.tally.Delivered, e.tally.Lost, e.tally.Missing = 98, 1, []string{"id-7 (t)"}
		}, "lost: 1 acknowledged and neither delivered, filtered nor dead, such as id-7 (t)"},
		{"dead by mistake is no loss", func(e *evidence) {
			e.tally.Delivered, e.tally.DeadLettered, e.tally.WronglyDeadLettered = 98, 2, 1
			e.ledger.Delivered, e.ledger.Dead = 98, 2
		}, "dead letters: 1 that should be none, or have another reason"},
		{"dead in the ledger alone", func(e *evidence) {
			e.ledger.Delivered, e.ledger.Dead = 98, 2
		}, "the bridge's ledger says dead 2, the oracle 1"},
		{"filtered that are nowhere are lost", func(e *evidence) {
			e.tally.Filtered, e.tally.Delivered = 2, 97
		}, "lost: 2 acknowledged and neither delivered, filtered nor dead"},
		{"corrupted", func(e *evidence) { e.tally.Corrupted = 3 }, "corrupted: 3 delivered but not what was sent"},
		{"invalid", func(e *evidence) { e.tally.Invalid = 3 }, "invalid: 3 against RudderStack's schema"},
		{"stray", func(e *evidence) { e.tally.Stray = 3 }, "stray: 3 came in that were never sent"},
		{"misdirected", func(e *evidence) { e.tally.Misdirected = 1 }, "misdirected: 1 delivered that should be dead or filtered"},
		{"unexplained", func(e *evidence) { e.tally.Unexplained = 1 }, "duplicates: 1 with nothing lost between the two deliveries"},
		{"too many duplicates", func(e *evidence) { e.tally.Duplicates = 26 }, "duplicates: 26, and at most 25 can come of the faults"},
		{"reissued", func(e *evidence) { e.tally.Reissued = 1 }, "reissued: 1 ids were sent with two different contents"},
		{"never acknowledged", func(e *evidence) { e.tally.Sent = 101 }, "never acknowledged: 1 of those sent"},
		{"nothing sent", func(e *evidence) { *e = evidence{} }, "nothing was sent"},
		{"ledger: received", func(e *evidence) { e.ledger.Received, e.ledger.Duplicates = 111, 11 }, "the bridge's ledger says received 111; 100 were answered 2XX and 10 not answered"},
		{"ledger: received too few", func(e *evidence) { e.answered = 111 }, "the bridge's ledger says received 110; 111 were answered 2XX and 10 not answered"},
		{"ledger: sum in", func(e *evidence) { e.ledger.Duplicates = 9 }, "the bridge's ledger does not add up: received 110 is not duplicates 9 + accepted 100"},
		{"ledger: sum out", func(e *evidence) { e.ledger.Pending = 1 }, "the bridge's ledger does not add up: accepted 100 is not filtered 0 + delivered 99 + dead 1 + purged 0 + pending 1"},
		{"ledger: filtered", func(e *evidence) { e.ledger.Filtered, e.ledger.Delivered = 1, 98 }, "the bridge's ledger says filtered 1, the oracle 0"},
		{"fault missing", func(e *evidence) { e.wanted = append(e.wanted, "hang") }, "the fault hang was asked for and did not happen"},
		{"kill missing", func(e *evidence) { e.wantedCrashes = 2 }, "the bridge was killed 1 times, not 2 as asked for"},
		{"trouble", func(e *evidence) { e.troubles = []string{"it stands still"} }, "it stands still"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := goodRun()
			tt.spoil(&e)
			r := judge(e)
			require.False(t, r.Passed())
			require.Contains(t, r.Failures, tt.why)
			if len(e.tally.Notes) > 0 {
				require.Contains(t, r.Failures, "a remark")
			}
			require.Equal(t, r.Lost > 0, strings.HasPrefix(tt.why, "lost"))
		})
	}
}

func failedReport() Report {
	return Report{
		Verdict: Fail, Sent: 20000, Acked: 20000, Delivered: 19791, Lost: 1, Duplicates: 3, Dead: 208,
		TypesSent: 96, TypesDelivered: 95, Crashes: 2, Duration: 12.5, PerSecond: 1583.28,
		Failures: []string{"1 acknowledged events are lost, such as <x>"},
		Faults:   map[string]int{"429": 3, "hang": 1}, DuplicateBound: 4000, Seed: 7,
	}
}

func TestReportAsJSON(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, failedReport().WriteJSON(&out))
	require.JSONEq(t, `{"verdict":"fail","events_sent":20000,"events_acked":20000,"events_delivered":19791,"lost":1,
	  "corrupted":0,"invalid":0,"duplicates":3,"dead":208,"filtered":0,"types_sent":96,"types_delivered":95,"crashes":2,
	  "duration_s":12.5,"events_per_s":1583.28,"failures":["1 acknowledged events are lost, such as <x>"]}`, out.String())
	out.Reset()
	require.NoError(t, Report{}.WriteJSON(&out))
	require.Contains(t, out.String(), `"failures": []`)
}

func TestReportAsText(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, failedReport().WriteText(&out))
	require.Equal(t, casefile.Text(t, "testdata/report.txt"), out.String())
}

func TestReportFiles(t *testing.T) {
	dir := t.TempDir()
	page, text := filepath.Join(dir, "r.HTML"), filepath.Join(dir, "r.json")
	require.NoError(t, failedReport().WriteFile(page))
	require.NoError(t, failedReport().WriteFile(text))
	html := casefile.Text(t, page)
	for _, part := range []string{
		`<span class="verdict fail">fail</span>`, "such as &lt;x&gt;", "19,791", `<div class="tile wrong"><b>1</b><span>lost</span></div>`,
		`style="width: 98.955%"`, "<tr><td>429</td><td class=\"v\">3</td></tr>", "prefers-color-scheme: dark",
	} {
		require.Contains(t, html, part)
	}
	require.NotRegexp(t, `(?i)(src|href)\s*=|url\(|@import|<script|<link`, html, "it loads nothing")
	written := casefile.Text(t, text)
	require.True(t, json.Valid([]byte(written)))
	require.ErrorContains(t, failedReport().WriteFile(filepath.Join(dir, "no", "r.json")), "there is no directory")
	require.ErrorContains(t, failedReport().WriteFile(filepath.Join(dir, "r.txt")), "FILE.json or FILE.html")
}
