package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// command runs mockrudder with this standard input and returns what it wrote
// and its exit code.
func command(t *testing.T, stdin string, args ...string) (out string, code int, err error) {
	t.Helper()
	root := newRoot()
	root.SilenceErrors, root.SilenceUsage = true, true
	var buf bytes.Buffer
	root.SetArgs(args)
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&buf)
	root.SetErr(io.Discard)
	if err = root.ExecuteContext(t.Context()); err != nil {
		code = exitCode(err)
	}
	return buf.String(), code, err
}

const (
	good = `{"event_type":"users.behaviors.app.SessionStart","id":"b-1","time":1700000000,"user":{"user_id":"u"},"properties":{"app_id":"a","session_id":"s"}}` + "\n"
	bad  = `{"event_type":"users.behaviors.app.SessionStart","id":"b-2","time":"soon","user":{"user_id":"u"},"properties":{"app_id":"a","session_id":"s"}}` + "\n"
)

func TestValidateExitCodes(t *testing.T) {
	goodFile, badFile, brokenFile := write(t, "good", good), write(t, "bad", bad), write(t, "broken", good+"{")
	missing := filepath.Join(t.TempDir(), "missing")
	for _, c := range []struct {
		name, stdin string
		args        []string
		code        int
		out         string
	}{
		{"valid input", good + good, nil, 0, `^2 events: 2 valid, 0 invalid;`},
		{"as braze", good, []string{"--as", "braze"}, 0, `1 valid`},
		{"dash", good, []string{"-"}, 0, `1 valid`},
		{"invalid", good + bad, []string{"--as", "braze"}, 2, `^stdin:2: users\.behaviors\.app\.SessionStart id=b-2: /time: type: expected .+\n`},
		{"wrong kind", good, []string{"--as", "rudder"}, 2, `stdin:1: `},
		{"files", "", []string{goodFile, badFile}, 2, regexp.QuoteMeta(badFile) + `:1: (.|\n)*2 events: 1 valid, 1 invalid`},
		{"torn", good + "{\n" + good, nil, 2, `^stdin:2: \(no type\): \(the event\): invalid_json: .+\n3 events: 2 valid, 1 invalid; .+; read 2 of 3 lines\n`},
		{"torn and invalid", "", []string{badFile, brokenFile}, 2, `3 events: 1 valid, 2 invalid`},
		{"torn, in json", good + "{", []string{"--format", "json"}, 2, `"summary":{"events":2,"valid":1,"invalid":1,.+"lines":{"total":2,"read":1}}`},
		{"unreadable, in json", "", []string{"--format", "json", missing}, 1, `"unread":\["lstat .+missing: no such file`},
		{"torn and unreadable, in junit", "", []string{"--format", "junit", brokenFile, missing}, 1,
			`tests="3" failures="1" errors="1">(.|\n)*<error message="lstat .+missing: no such file`},
		{"missing file, the rest is judged", "", []string{missing, goodFile}, 1, `1 events: 1 valid`},
		{"empty", "", nil, 1, `^0 events`},
		{"an empty file among others", "", []string{goodFile, write(t, "empty", " \n")}, 1, `1 events: 1 valid`},
		{"a request of no events", `{"events":[]}`, nil, 0, `^0 events`},
		{"UTF-16", "\xff\xfe{\x00}\x00", nil, 1, `^0 events`},
		{"json", bad, []string{"--format", "json"}, 2, `"path":"/time"`},
		{"junit", bad, []string{"--format=junit"}, 2, `<testsuite `},
		{"unknown format", "", []string{"--format", "xml"}, 1, ``},
		{"unknown as", "", []string{"--as", "xml"}, 1, ``},
		{"unknown flag", "", []string{"--nope"}, 1, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, code, err := command(t, c.stdin, append([]string{"validate"}, c.args...)...)
			require.Equal(t, c.code, code, "%v", err)
			require.Regexp(t, c.out, out)
			if c.code == 2 {
				require.Empty(t, err.Error(), "the report has said it")
			}
		})
	}
}

func TestFlagsFromTheEnvironment(t *testing.T) {
	t.Setenv("MOCKRUDDER_AS", "rudder")
	_, code, _ := command(t, good, "validate")
	require.Equal(t, 2, code)
	_, code, _ = command(t, good, "validate", "--as", "braze")
	require.Equal(t, 0, code, "a flag wins")
}

// lines are the lines that the server prints.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// serving starts mockrudder serve and returns its address.
func serving(t *testing.T, args ...string) (url string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	root := newRoot()
	root.SilenceErrors, root.SilenceUsage = true, true
	printed := make(lines, 10)
	root.SetOut(printed)
	root.SetArgs(append([]string{"serve", "--listen", "127.0.0.1:0"}, args...))
	done := make(chan error, 1)
	go func() { done <- root.ExecuteContext(ctx) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(30 * time.Second):
			t.Error("the server does not stop")
		}
	})
	select {
	case line := <-printed:
		match := regexp.MustCompile(`^ready: listen=(http://127\.0\.0\.1:\d+) page=(http://127\.0\.0\.1:\d+)/_mock/\n$`).FindStringSubmatch(line)
		require.NotNil(t, match, line)
		require.Equal(t, match[1], match[2])
		return match[1]
	case err := <-done:
		done <- err
		t.Fatal(err)
		return ""
	}
}

// status sends a request, with a change to it, and returns the status of the answer.
func status(t *testing.T, method, url, body string, changes ...func(*http.Request)) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for _, change := range changes {
		change(request)
	}
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode
}

func TestServe(t *testing.T) {
	url := serving(t, "--source", "a=braze,map="+write(t, "names.json", `{"t":"T"}`), "--source", "b=http", "--source", "c=braze,disabled", "--no-validate")
	body := `{"events":[{"event_type":"t","user":{"user_id":"u"}}]}`
	require.Equal(t, 200, status(t, "POST", url+"/v1/webhook?writeKey=a", body))
	require.Equal(t, 401, status(t, "POST", url+"/v1/webhook?writeKey=b", body))
	require.Equal(t, 404, status(t, "POST", url+"/v1/webhook?writeKey=c", body))
	answer, err := http.Get(url + "/_mock/events?event=T")
	require.NoError(t, err)
	defer answer.Body.Close()
	var page struct{ Total int }
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&page))
	require.Equal(t, 1, page.Total)
	_, _, err = command(t, "", "healthcheck", "--listen", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	_, _, err = command(t, "", "healthcheck", "--url", url+"/nowhere")
	require.ErrorContains(t, err, "/nowhere answered 404")
	// A request that hangs does not keep the server from stopping.
	require.Equal(t, 200, status(t, "PUT", url+"/_mock/faults", `{"hang":true}`))
	go func() { _, _ = http.Post(url+"/v1/batch", "", strings.NewReader("{}")) }()
}

func TestServeDefaults(t *testing.T) {
	t.Setenv("MOCKRUDDER_RATE_LIMIT", "1")
	t.Setenv("MOCKRUDDER_RATE_WINDOW", "1h")
	url := serving(t)
	require.Equal(t, 200, status(t, "GET", url+"/v1/webhook?writeKey=wkBraze", ""))
	require.Equal(t, 401, status(t, "GET", url+"/v1/webhook?writeKey=wkHTTP", ""))
	body := `{"events":[{"event_type":"t","user":{"user_id":"u"}}]}`
	for range 2 {
		require.Equal(t, 200, status(t, "POST", url+"/v1/webhook?writeKey=wkBraze", body))
	}
	require.Equal(t, 429, status(t, "POST", url+"/v1/webhook?writeKey=wkBraze", body))
}

func TestServeAllowHost(t *testing.T) {
	t.Setenv("MOCKRUDDER_ALLOW_HOST", "a.example.com, b.example.com")
	url := serving(t)
	for host, want := range map[string]int{"a.example.com": 200, "b.example.com:8090": 200, "c.example.com": 403} {
		require.Equal(t, want, status(t, "GET", url+"/_mock/stats", "", func(r *http.Request) { r.Host = host }), host)
	}
}

func TestSourceMistakes(t *testing.T) {
	for spec, want := range map[string]string{
		"x":                    "want KEY=braze|http[,disabled][,map=FILE]",
		"=braze":               "want KEY=braze|http[,disabled][,map=FILE]",
		"x=kafka":              `unknown kind "kafka"`,
		"x=braze,off":          `unknown part "off"`,
		"x=braze,map=no/where": "no such file",
	} {
		_, code, err := command(t, "", "serve", "--source", spec)
		require.Equal(t, 1, code)
		require.ErrorContains(t, err, want)
	}
	// The environment variable is split at commas, which a source may have too.
	require.Equal(t, []string{"a=braze,disabled,map=f", "b=http"}, rejoin([]string{"a=braze", "disabled", "map=f", "b=http"}))
}

func TestAudit(t *testing.T) {
	file := write(t, "recorded", `{"events":[`+strings.TrimSpace(good)+`]}`)
	out, code, err := command(t, "", "audit", file)
	require.NoError(t, err)
	require.Zero(t, code)
	require.Contains(t, out, "1 requests, 0 of them refused; 1 events: 1 unchanged")
	harmful := `{"event_type":"t","id":"1","user":{"user_id":"u"},"properties":{"a.b":1}}`
	out, code, _ = command(t, harmful, "audit", "--format", "json", "--fail", "-")
	require.Equal(t, 2, code)
	require.Contains(t, out, `"property":"properties.a.b","what":"moved"`)
	// Both formats have the same numbers and the files that could not be read.
	in := "{\"events\":[" + harmful + "," + strings.TrimSpace(good) + "]}\n{\n"
	const counts = "2 requests, 1 of them refused; 3 events: 1 unchanged, 1 changed, 0 dropped without a word, 1 refused, and 0 refused because of a neighbour; read 1 of 2 lines"
	for format, want := range map[string][]string{
		"text": {counts},
		"json": {`"requests":{"total":2,"refused":1},"events":{"total":3,"unchanged":1,"changed":1,"dropped":0,"refused":1,"refused_beside":0},"lines":{"total":2,"read":1}`,
			`"unread":["lstat no/where`},
	} {
		out, code, _ = command(t, in, "audit", "--format", format, "-", "no/where")
		require.Equal(t, 1, code)
		for _, part := range want {
			require.Contains(t, out, part, format)
		}
	}
	_, code, _ = command(t, "", "audit", "--format", "junit", file)
	require.Equal(t, 1, code)
}

func TestDirectoriesAndGzip(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "deep"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "deep", "a.ndjson"), []byte(good+bad), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("no JSON"), 0o600))
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	_, err := io.WriteString(w, good)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b.jsonl.gz"), compressed.Bytes(), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "c.JSON"), []byte(good), 0o600))
	var stderr bytes.Buffer
	in, err := newInputs("validate", nil, &stderr, []string{dir})
	require.NoError(t, err)
	in.meter.Stop()
	require.Contains(t, stderr.String(), "validate: "+filepath.Join(dir, "c.JSON")+" is not read: its name is not *.avro, *.json, *.jsonl")
	require.Contains(t, stderr.String(), "notes.txt is not read")
	out, code, _ := command(t, "", "validate", dir)
	require.Equal(t, 2, code)
	require.Contains(t, out, "3 events: 2 valid, 1 invalid")
	out, _, err = command(t, "", "audit", dir)
	require.NoError(t, err)
	require.Contains(t, out, "3 requests")
	_, code, err = command(t, "", "validate", t.TempDir())
	require.Equal(t, 1, code)
	require.ErrorContains(t, err, "no file called")
}
