package load_test

import (
	_ "embed" // for what reads the page
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/browser/browsertest"
	"github.com/currentsbridge/currentsbridge/harness"
	"github.com/currentsbridge/currentsbridge/internal/load"
)

func failing(t *testing.T) (url string) {
	t.Helper()
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch n.Add(1) % 10 {
		case 3:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 5, 7:
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/currents"
}

type shown struct {
	Verdict   string
	Plots     []drawn
	SideWidth float64 // how far the page is too wide for its window
}

type drawn struct {
	Title         string
	Width, Height float64
	Legend        []string
	Lines         []float64 // the length of each on the screen
	Points        []int     // how many points each has
}

//go:embed testdata/read.js
var readPage string

// TestReportInABrowser opens the HTML report as a file, which may load nothing
// else, and compares its plots with the report.
func TestReportInABrowser(t *testing.T) {
	browser := browsertest.Start(t)
	thresholds, err := load.ParseConditions("errors<1%,p99<30s")
	require.NoError(t, err)
	run, err := load.New(load.Config{URL: failing(t), Pace: load.Constant(6000), Duration: 3 * time.Second, Connections: 4, Thresholds: thresholds})
	require.NoError(t, err)
	want, err := run.Do(t.Context())
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "r.html")
	require.NoError(t, want.WriteFile(file))

	page := browser.Open(t, "file://") // and its end fails the test where the console has an error
	for _, width := range []int{1300, 400} {
		page.Size(width, 900, width < 500)
		page.Go("file://" + file)
		var got shown
		require.NoError(t, json.Unmarshal([]byte(page.Text(readPage)), &got))
		require.Zero(t, got.SideWidth, "at a width of %d", width)
		require.Equal(t, want.Verdict, got.Verdict)
		require.Len(t, want.Statuses, 3, "the target answers 200, 429 and 503")
		requirePlots(t, want, got)
	}
}

func requirePlots(t *testing.T, want *load.Report, got shown) {
	t.Helper()
	lines := map[string]int{"Latency over time": 4, "Latency by percentile": 2, "Events a second": 3, "Answers a second": 3}
	require.Len(t, got.Plots, len(lines))
	for _, plot := range got.Plots {
		require.Len(t, plot.Lines, lines[plot.Title], plot.Title)
		require.Greater(t, plot.Width, 250.0, plot.Title)
		require.Greater(t, plot.Height, 80.0, plot.Title)
		for i, length := range plot.Lines {
			require.Positive(t, length, "%s: %s", plot.Title, plot.Legend[i])
		}
		switch plot.Title {
		case "Latency by percentile":
			require.Equal(t, []int{len(want.Percentiles), len(want.Percentiles)}, plot.Points)
			require.Equal(t, []string{"intended", "service"}, plot.Legend)
		case "Answers a second":
			require.Equal(t, []string{"200", "429", "503"}, plot.Legend)
		}
	}
}

// TestHarnessReportInABrowser opens the report of a run that failed, with texts
// that have no place to break.
func TestHarnessReportInABrowser(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.html")
	report := harness.Report{
		Verdict: harness.Fail, Sent: 1_000_000, Acked: 1_000_000, Delivered: 999_000, Lost: 1000, Dead: 0, TypesSent: 102, TypesDelivered: 101,
		Failures: []string{"lost: 1000, such as " + strings.Repeat("x", 300)}, Faults: map[string]int{"429 with Retry-After": 1},
	}
	require.NoError(t, report.WriteFile(file))
	page := browsertest.Start(t).Open(t, "file://")
	for _, width := range []int{1300, 390} {
		page.Size(width, 900, width < 500)
		page.Go("file://" + file)
		require.Zero(t, page.Number(`Math.max(0, document.documentElement.scrollWidth - innerWidth)`), "at a width of %d", width)
		bar := `document.querySelector(".bar").offsetWidth`
		require.InDelta(t, page.Number(bar)*0.999, page.Number(`document.querySelector(".bar .delivered").getBoundingClientRect().width`), 1)
		require.Equal(t, "1,000", page.Text(`document.querySelector(".tile.wrong b").textContent`))
	}
}
