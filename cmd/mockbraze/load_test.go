package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/cli/clitest"
	"github.com/currentsbridge/currentsbridge/internal/load"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// taking answers every batch, and counts those with a token.
func taking(t *testing.T, token string) (url string, good *atomic.Int64) {
	good = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Header.Get("Authorization") != "Bearer "+token {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		good.Add(1)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/currents?key=sEcReT", good
}

func TestLoad(t *testing.T) {
	t.Setenv("MOCKBRAZE_TOKEN", "t0ken")
	url, good := taking(t, "t0ken")
	dir := t.TempDir()
	asJSON, asHTML := filepath.Join(dir, "r.json"), filepath.Join(dir, "r.html")
	out, err := run(t, "load", "--url", url, "--rate", "10000", "--events", "1000", "--seed", "4",
		"--threshold", "errors==0,p99<1m", "--threshold", "acked==1000", "--report", asJSON, "--report", asHTML)
	require.NoError(t, err)
	require.EqualValues(t, 10, good.Load())
	require.Contains(t, out, "seed 4")
	require.Contains(t, out, "acked==1000 holds: 1000")
	require.NotContains(t, out, "sEcReT")
	require.NotContains(t, out, "t0ken")

	text := casefile.Text(t, asJSON)
	var report load.Report
	require.NoError(t, json.Unmarshal([]byte(text), &report))
	require.True(t, report.Passed())
	require.EqualValues(t, 1000, report.Events.Acked)
	text = casefile.Text(t, asHTML)
	require.Contains(t, text, "<svg")
}

func TestLoadExitCodes(t *testing.T) {
	url, _ := taking(t, "another")
	out, err := run(t, "load", "--url", url, "--rate", "max", "--events", "500", "--threshold", "errors<1%")
	require.ErrorIs(t, err, errThreshold)
	require.Equal(t, 99, exitCode(err))
	require.Contains(t, out, "errors<1% FAILED: 100.000%")
	require.Contains(t, out, "401: 5 batches")

	// Without thresholds a run that could be made is no failure.
	_, err = run(t, "load", "--url", url, "--events", "100")
	require.NoError(t, err)

	_, err = run(t, "load", "--url", "http://192.0.2.7/currents?key=sEcReT", "--events", "100")
	require.ErrorContains(t, err, "--yes-i-own-this-target")
	require.NotContains(t, err.Error(), "sEcReT")
	require.Equal(t, 1, exitCode(err))
}

// TestLoadExampleForAWebhook runs the example of the help against a mockrudder.
func TestLoadExampleForAWebhook(t *testing.T) {
	rudder := mockrudder.Start(t)
	help, err := run(t, "load", "--help")
	require.NoError(t, err)
	example := regexp.MustCompile(`mockbraze (load --url '.*/v1/webhook.*)`).FindStringSubmatch(help)
	require.Len(t, example, 2)
	args := strings.Fields(strings.NewReplacer("'", "", "http://127.0.0.1:8090", strings.TrimPrefix(rudder.URL, "http://"), "100000", "2000").Replace(example[1]))
	out, err := run(t, append(args, "--threshold", "errors==0")...)
	require.NoError(t, err, out)
	require.NotContains(t, out, "refused\t")
}

// An interrupted load reports, and its thresholds decide.
func TestLoadInterrupted(t *testing.T) {
	url, good := taking(t, "x")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	file := filepath.Join(t.TempDir(), "r.json")
	done := make(chan error, 1)
	go func() {
		done <- clitest.Execute(ctx, newRoot(), io.Discard, io.Discard, "load", "--url", url, "--token", "x", "--duration", "10m", "--threshold", "errors==0", "--report", file)
	}()
	require.Eventually(t, func() bool { return good.Load() > 3 }, 20*time.Second, 10*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
	require.Contains(t, casefile.Text(t, file), `"interrupted": true`)
}
