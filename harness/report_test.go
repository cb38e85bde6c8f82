package harness

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

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
	want, err := os.ReadFile("testdata/report.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), out.String())
}

func TestReportFiles(t *testing.T) {
	dir := t.TempDir()
	page, text := filepath.Join(dir, "r.HTML"), filepath.Join(dir, "r.json")
	require.NoError(t, failedReport().WriteFile(page))
	require.NoError(t, failedReport().WriteFile(text))
	html, err := os.ReadFile(page)
	require.NoError(t, err)
	for _, part := range []string{
		`<span class="verdict fail">fail</span>`, "such as &lt;x&gt;", "19,791", `<div class="tile wrong"><b>1</b><span>lost</span></div>`,
		`style="width: 98.955%"`, "<tr><td>429</td><td class=\"v\">3</td></tr>", "prefers-color-scheme: dark",
	} {
		require.Contains(t, string(html), part)
	}
	require.NotRegexp(t, `(?i)(src|href)\s*=|url\(|@import|<script|<link`, string(html), "it loads nothing")
	written, err := os.ReadFile(text)
	require.NoError(t, err)
	require.True(t, json.Valid(written))
	require.ErrorContains(t, failedReport().WriteFile(filepath.Join(dir, "no", "r.json")), "there is no directory")
	require.ErrorContains(t, failedReport().WriteFile(filepath.Join(dir, "r.txt")), "FILE.json or FILE.html")
}
