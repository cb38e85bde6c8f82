package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/cli/clitest"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
	"github.com/currentsbridge/currentsbridge/schemas"
)

func run(t *testing.T, args ...string) (stdout string, err error) {
	var out bytes.Buffer
	err = clitest.Execute(t.Context(), newRoot(), &out, io.Discard, args...)
	return out.String(), err
}

func TestEmit(t *testing.T) {
	g, err := schemas.Load()
	require.NoError(t, err)
	news, _ := g.Event("users.messages.email.Open")
	g.Events = append(g.Events, *news)
	g.Events[len(g.Events)-1].Name = "users.messages.smoke.Signal"
	text, err := g.Encode()
	require.NoError(t, err)
	newer := casefile.Temp(t, "glossary.json", string(text))
	for args, want := range map[string]struct {
		lines int
		text  string
		times int
	}{
		"--events 1020": {1020, `{"event_type":"`, 1020},
		"--events 250 --types users.canvas.Entry --format batches":         {3, `{"event_type":"users.canvas.Entry"`, 250},
		"--events 105 --retired":                                           {105, "newsfeedcard.", 3},
		"--events 5 --types *.Signal --glossary " + newer:                  {5, `"users.messages.smoke.Signal"`, 5},
		"--events 5 --types *.Signal --scenario quiet --glossary " + newer: {5, `"users.messages.smoke.Signal"`, 5},
	} {
		out, err := run(t, append([]string{"emit"}, strings.Fields(args)...)...)
		require.NoError(t, err)
		require.Equal(t, want.lines, strings.Count(out, "\n"), args)
		require.Equal(t, want.times, strings.Count(out, want.text), args)
		again, err := run(t, append([]string{"emit", "--seed", "1"}, strings.Fields(args)...)...)
		require.NoError(t, err)
		require.Equal(t, out, again, "1 is the seed by default")
	}
}

// TestEmitShowsProgress looks at standard error: a large emission says how many
// events there were, however fast it was, and a small one nothing.
func TestEmitShowsProgress(t *testing.T) {
	for n, want := range map[string]string{"1000": "", "100000": "100,000 events (100 %)"} {
		var progress bytes.Buffer
		require.NoError(t, clitest.Execute(t.Context(), newRoot(), io.Discard, &progress, "emit", "--events", n, "--types", "users.canvas.Entry"))
		require.Contains(t, progress.String(), want)
		require.Equal(t, want == "", progress.Len() == 0)
	}
}

// TestMistakesAreNamed before anything begins.
func TestMistakesAreNamed(t *testing.T) {
	url, good := taking(t, "")
	for _, row := range casefile.Read(t, "testdata/mistakes.txt", 2) { // what the error says, the arguments
		_, err := run(t, strings.Fields(strings.ReplaceAll(row[1], "URL", url))...)
		require.ErrorContains(t, err, row[0])
		require.Equal(t, 1, exitCode(err))
	}
	require.Zero(t, good.Load())
}

// TestScenarios prints one, changes it, and tells its stories.
func TestScenarios(t *testing.T) {
	list, err := run(t, "scenario", "list")
	require.NoError(t, err)
	for _, name := range scenario.Names() {
		require.Contains(t, list, name)
	}
	text, err := run(t, "scenario", "show", "flash-sale")
	require.NoError(t, err)
	path := casefile.Temp(t, "mine.yaml", text)
	again, err := run(t, "scenario", "show", path)
	require.NoError(t, err)
	require.Equal(t, strings.Replace(text, "Scenario flash-sale.", "Scenario mine.", 1), again)

	got, err := run(t, "emit", "--scenario", path, "--events", "500")
	require.NoError(t, err)
	require.Equal(t, 500, strings.Count(got, "\n"))

	require.NoError(t, os.WriteFile(path, []byte("users: 100\noutcomes: {email: {opn: 5%}}"), 0o600))
	_, err = run(t, "emit", "--scenario", path)
	require.ErrorContains(t, err, "mine.yaml:2: outcomes.email.opn")
}

// TestServe makes, launches and uses a Current of a server that runs.
func TestServe(t *testing.T) {
	var arrived atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var batch struct{ Events []json.RawMessage }
		if json.NewDecoder(r.Body).Decode(&batch) == nil {
			arrived.Add(int64(len(batch.Events)))
		}
	}))
	defer target.Close()

	root := clitest.Serving(t, newRoot(), "/", "--seed", "3", "--allow-host", "braze.example.com")
	url := root + "/api/currents"
	_, err := run(t, "healthcheck", "--listen", strings.TrimPrefix(root, "http://"))
	require.NoError(t, err)
	_, err = run(t, "healthcheck", "--url", url+"/nowhere")
	require.ErrorContains(t, err, "/nowhere answered 404")

	ask := func(status int, host, method, path, body string) {
		answer := clitest.Status(t, method, url+path, body, func(r *http.Request) { r.Host = host })
		require.Equal(t, status, answer, "%s %s", host, path)
	}
	ask(200, "braze.example.com", "GET", "", "")
	ask(403, "evil.example.com", "GET", "", "")
	ask(201, "", "POST", "", `{"url":"`+target.URL+`","events":["users.messages.*"]}`)
	ask(200, "", "POST", "/1/launch", "")
	ask(200, "", "POST", "/1/send?events=321", "")
	require.EqualValues(t, 321, arrived.Load())
}

func TestHelp(t *testing.T) { clitest.Help(t, newRoot) }
