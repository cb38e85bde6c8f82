package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/cli/clitest"
	"github.com/currentsbridge/currentsbridge/schemas/refresh"
)

// command runs mockrudder with this standard input and returns what it wrote
// and its exit code.
func command(t *testing.T, stdin string, args ...string) (out string, code int, err error) {
	root := newRoot()
	var buf bytes.Buffer
	root.SetIn(strings.NewReader(stdin))
	if err = clitest.Execute(t.Context(), root, &buf, io.Discard, args...); err != nil {
		code = exitCode(err)
	}
	return buf.String(), code, err
}

const (
	good = `{"event_type":"users.behaviors.app.SessionStart","id":"b-1","time":1700000000,"user":{"user_id":"u"},"properties":{"app_id":"a","session_id":"s"}}` + "\n"
	bad  = `{"event_type":"users.behaviors.app.SessionStart","id":"b-2","time":"soon","user":{"user_id":"u"},"properties":{"app_id":"a","session_id":"s"}}` + "\n"
)

// Of each command what it prints, how it ends and with which error.
func TestCommands(t *testing.T) {
	for _, row := range casefile.Read(t, "testdata/commands.txt", 5) {
		t.Run(row[1], func(t *testing.T) {
			stdin := strings.NewReplacer("{good}", strings.TrimSpace(good), "{bad}", strings.TrimSpace(bad)).Replace(row[0])
			out, code, err := command(t, stdin, strings.Fields(row[1])...)
			require.Equal(t, row[2], strconv.Itoa(code), "%v", err)
			require.Regexp(t, row[3], out)
			switch code {
			case 1:
				require.ErrorContains(t, err, row[4])
			case 2:
				require.Empty(t, err.Error(), "the report has said it")
			}
		})
	}
}

// serving starts mockrudder serve and returns its address.
func serving(t *testing.T, args ...string) (url string) {
	return clitest.Serving(t, newRoot(), "/_mock/", args...)
}

// total is how many messages a server has that a query finds.
func total(t *testing.T, url, query string) int {
	answer, err := http.Get(url + "/_mock/events?" + query)
	require.NoError(t, err)
	defer answer.Body.Close()
	var page struct{ Total int }
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&page))
	return page.Total
}

func TestServe(t *testing.T) {
	url := serving(t, "--source", "a=braze,map="+casefile.Temp(t, "names.json", `{"t":"T"}`), "--source", "b=http", "--source", "c=braze,disabled", "--no-validate")
	body := `{"events":[{"event_type":"t","user":{"user_id":"u"}}]}`
	require.Equal(t, 200, clitest.Status(t, "POST", url+"/v1/webhook?writeKey=a", body))
	require.Equal(t, 401, clitest.Status(t, "POST", url+"/v1/webhook?writeKey=b", body))
	require.Equal(t, 404, clitest.Status(t, "POST", url+"/v1/webhook?writeKey=c", body))
	require.Equal(t, 1, total(t, url, "event=T"))
	_, _, err := command(t, "", "healthcheck", "--listen", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	_, _, err = command(t, "", "healthcheck", "--url", url+"/nowhere")
	require.ErrorContains(t, err, "/nowhere answered 404")
	// A request that hangs does not keep the server from stopping.
	require.Equal(t, 200, clitest.Status(t, "PUT", url+"/_mock/faults", `{"hang":true}`))
	go func() { _, _ = http.Post(url+"/v1/batch", "", strings.NewReader("{}")) }()
}

func TestServeDefaultsAndEnvironment(t *testing.T) {
	t.Setenv("MOCKRUDDER_RATE_LIMIT", "1")
	t.Setenv("MOCKRUDDER_RATE_WINDOW", "1h")
	t.Setenv("MOCKRUDDER_ALLOW_HOST", "a.example.com, b.example.com")
	url := serving(t)
	for host, want := range map[string]int{"a.example.com": 200, "b.example.com:8090": 200, "c.example.com": 403} {
		require.Equal(t, want, clitest.Status(t, "GET", url+"/_mock/stats", "", func(r *http.Request) { r.Host = host }), host)
	}
	require.Equal(t, 200, clitest.Status(t, "GET", url+"/v1/webhook?writeKey=wkBraze", ""))
	require.Equal(t, 401, clitest.Status(t, "GET", url+"/v1/webhook?writeKey=wkHTTP", ""))
	body := `{"events":[{"event_type":"t","user":{"user_id":"u"}}]}`
	for range 2 {
		require.Equal(t, 200, clitest.Status(t, "POST", url+"/v1/webhook?writeKey=wkBraze", body))
	}
	require.Equal(t, 429, clitest.Status(t, "POST", url+"/v1/webhook?writeKey=wkBraze", body))
}

// The environment variable is split at commas, which a source may have too.
func TestRejoin(t *testing.T) {
	require.Equal(t, []string{"a=braze,disabled,map=f", "b=http"}, rejoin([]string{"a=braze", "disabled", "map=f", "b=http"}))
}

func TestDirectoriesAndGzip(t *testing.T) {
	dir := t.TempDir()
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	_, err := io.WriteString(w, good)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "deep"), 0o700))
	for name, text := range map[string]string{"deep/a.ndjson": good + bad, "notes.txt": "no JSON", "b.jsonl.gz": compressed.String(), "c.JSON": good} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
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

func TestHelp(t *testing.T) { clitest.Help(t, newRoot) }

// A plan and a recording, as flags.
func TestServeOptions(t *testing.T) {
	record := casefile.Temp(t, "received.ndjson", `{"id":"0","mess`) // torn by a crash
	url := serving(t, "--source", "k=http", "--plan", "testdata/in/plan.json", "--record", record, "--keep-bytes", "100000")
	send := func(message string) {
		require.Equal(t, 200, clitest.Status(t, "POST", strings.Replace(url, "http://", "http://k@", 1)+"/v1/track", message))
	}
	send(`{"event":"Order Placed","userId":"u","messageId":"m"}`)

	text := casefile.Text(t, record)
	lines := strings.Split(text, "\n")
	require.Len(t, lines, 3, "%s", text)
	require.True(t, json.Valid([]byte(lines[1])), "the new line begins on its own: %s", lines[1])
	require.Contains(t, text, `"in":"plan"`)
	require.Contains(t, text, `"valid":false`)
}

// Faults can be there from the start, headers have RudderStack's limit, and the
// page is found from where one looks for it.
func TestServeFaultsAndLimits(t *testing.T) {
	url := serving(t, "--faults", `[{"status":403,"contains":"poison"}]`)
	send := func(message string) int {
		return clitest.Status(t, "POST", strings.Replace(url, "http://", "http://wkHTTP@", 1)+"/v1/track", message)
	}
	require.Equal(t, 200, send(`{"userId":"u"}`))
	require.Equal(t, 403, send(`{"userId":"poison"}`))
	require.Equal(t, 200, clitest.Status(t, "GET", url+"/_mock", ""), "after a redirect")
	for size, want := range map[int]int{500_000: 200, 600_000: 431} {
		long := func(r *http.Request) { r.Header.Set("X-Long", strings.Repeat("x", size)) }
		require.Equal(t, want, clitest.Status(t, "GET", url+"/health", "", long))
	}
}

const (
	goodFax = `{"event_type":"users.messages.fax.Send","id":"i","time":1700000000,"user":{"user_id":"u"},"properties":{"fax_text":"t","pages":2}}`
	badFax  = `{"event_type":"users.messages.fax.Send","id":"i","time":1700000000,"user":{"user_id":"u"},"properties":{"fax_text":5}}`
)

// validate, serve and glossary use a newer glossary, which is made of a page with a type that
// is new.
func TestNewerGlossary(t *testing.T) {
	const page = "testdata/in/page.md"
	newer := filepath.Join(t.TempDir(), "glossary.json")
	out, code, _ := command(t, "", "glossary", "refresh", page, "--out", newer, "--schema-version", "13", "--date", "2026-12-02", "--format", "json")
	require.Equal(t, 2, code)
	var report refresh.Report
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Equal(t, []refresh.Difference{{Change: refresh.TypeAdded, EventType: "users.messages.fax.Send", After: "3 fields", Source: "page.md:4"}}, report.Differences)
	out, code, err := command(t, "", "glossary", "diff", page, "--glossary", newer)
	require.NoError(t, err)
	require.Zero(t, code, out)

	out, code, _ = command(t, badFax+"\n"+goodFax, "validate", "--as", "braze", "--glossary", newer)
	require.Equal(t, 2, code)
	require.Contains(t, out, "/properties/fax_text: type: expected string")
	require.Contains(t, out, "2 events: 1 valid, 1 invalid; 0 with")

	url := serving(t, "--glossary", newer)
	require.Equal(t, 200, clitest.Status(t, "POST", url+"/v1/webhook?writeKey=wkBraze", `{"events":[`+badFax+`]}`))
	require.Equal(t, 1, total(t, url, "valid=false&rule=type"))
	require.Zero(t, total(t, url, "rule=unknown_event_type"))
}
