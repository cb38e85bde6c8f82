package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/bridgeproc"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/cli/clitest"
	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
)

// asCommand makes the test binary be the command, so that tests have a real
// process with real signals and exit codes.
const asCommand = "TEST_RUN_AS_BRIDGE"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append([]string{asCommand + "=1", "PATH=" + os.Getenv("PATH")}, env...)
	cmd.Dir = t.TempDir()
	return cmd
}

func runBridge(t *testing.T, env []string, code int, args ...string) (stdout, stderr string) {
	cmd := command(t, env, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	require.Equal(t, code, cmd.ProcessState.ExitCode(), "%q: %s%s", args, &out, &errs)
	return out.String(), errs.String()
}

type serving struct {
	*bridgeproc.Process
	logPath string
}

func serve(t *testing.T, env []string, args ...string) *serving {
	s := starting(t, env, args...)
	require.NoError(t, s.AwaitReady(t.Context()))
	return s
}

// starting runs a bridge on free ports and does not wait until it is ready.
func starting(t *testing.T, env []string, args ...string) *serving {
	logPath := filepath.Join(t.TempDir(), "bridge.log")
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, args...)
	p, err := bridgeproc.Start(os.Args[0], logPath, append(env, asCommand+"=1"), args...)
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	return &serving{p, logPath}
}

func (s *serving) output(t *testing.T) string {
	return casefile.Text(t, s.logPath)
}

func (s *serving) signal(t *testing.T, signal os.Signal) {
	require.NoError(t, s.Cmd.Process.Signal(signal))
}

func (s *serving) end() int {
	<-s.Gone
	return s.Cmd.ProcessState.ExitCode()
}

func (s *serving) post(t *testing.T, body string) {
	require.Equal(t, 200, s.try(t, "/currents", "s3cret", body))
}

func (s *serving) try(t *testing.T, path, token, body string) int {
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	return clitest.Status(t, http.MethodPost, s.Intake+path, body, bearer)
}

func (s *serving) logged(t *testing.T, text string) {
	require.Eventually(t, func() bool { return strings.Contains(s.output(t), text) }, time.Minute, 5*time.Millisecond, text)
}

func (s *serving) until(t *testing.T, token, text string) {
	require.Eventually(t, func() bool {
		var status json.RawMessage
		require.NoError(t, jsoncall.API{Base: s.Admin, Token: token}.Do(t.Context(), http.MethodGet, "/status", nil, &status))
		return strings.Contains(string(status), text)
	}, time.Minute, 10*time.Millisecond, text)
}

func rudderStack(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	t.Cleanup(s.Close)
	return s
}

const twoEvents = `{"events":[{"id":"1","event_type":"t","user":{"user_id":"u"}},{"id":"2","event_type":"agentconsole.ToolInvocation"}]}`

func TestServeStatusAndDead(t *testing.T) {
	t.Parallel()
	s := serve(t, []string{"BRIDGE_BRAZE_TOKEN=s3cret"}, "--rudder-url", rudderStack(t).URL, "--write-key", "wk", "--data-dir", t.TempDir())
	require.Regexp(t, `(?m)^ready: listen=http\S+ admin=(http\S+) page=http\S+/$`, s.output(t))
	require.Contains(t, s.output(t), " page="+s.Admin+"/\n")
	s.post(t, twoEvents)
	s.until(t, "", `"delivered":1`)
	stdout, _ := runBridge(t, nil, 0, "status", "--admin", s.Admin, "--json")
	require.Regexp(t, `^{"connectors":\[{"name":"default","received":2,"duplicates":0,"accepted":2,"filtered":0,"delivered":1,"dead":1,"purged":0,"pending":0,"replayed":0,"backfilled":0,"oldest_pending_seconds":0,"destination":{"state":"ok","last_error":""},"parked":0}]}\n$`, stdout)

	stdout, _ = runBridge(t, []string{"BRIDGE_ADMIN=" + strings.TrimPrefix(s.Admin, "http://")}, 0, "status")
	require.Regexp(t, `(?m)^ +connector +received .* destination *$`, stdout)
	require.Regexp(t, `(?m)^ +default +2 +0 +2 +0 +1 +1 +0 +0 +0 +0 +- +ok *$`, stdout)

	stdout, _ = runBridge(t, nil, 0, "dead", "list", "--admin", s.Admin)
	require.Regexp(t, `(?m)^default +1 +20.* +agentconsole.ToolInvocation +2 +no_identity +-$`, stdout)
	stdout, _ = runBridge(t, nil, 0, "dead", "show", "1", "--admin", s.Admin, "--json")
	require.True(t, json.Valid([]byte(stdout)), stdout)
	require.Contains(t, stdout, `"reason":"no_identity"`)
	_, stderr := runBridge(t, nil, 1, "dead", "show", "2", "--admin", s.Admin)
	require.Equal(t, "error: the bridge answered 404 Not Found: there is no dead letter 2\n", stderr)

	_, stderr = runBridge(t, nil, 1, "dead", "purge", "--admin", s.Admin)
	require.Contains(t, stderr, "say which")
	_, stderr = runBridge(t, nil, 1, "dead", "replay", "--since", "soon", "--admin", s.Admin)
	require.Contains(t, stderr, "since must be a time such as")
	stdout, _ = runBridge(t, nil, 0, "dead", "purge", "1", "--reason", "no_identity", "--since", "1h", "--admin", s.Admin)
	require.Equal(t, "connector default: 1 dead letter purged\n", stdout)
	stdout, _ = runBridge(t, nil, 0, "status", "--admin", s.Admin, "--json")
	require.Contains(t, stdout, `"dead":0,"purged":1,"pending":0`)

	s.signal(t, os.Interrupt)
	require.Zero(t, s.end(), s.Log())
	require.NotContains(t, s.output(t), "s3cret")
	_, stderr = runBridge(t, nil, 1, "status", "--admin", s.Admin)
	require.Contains(t, stderr, "error: no bridge answers on "+s.Admin)
}

func TestCommands(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serve(t, nil, "--open", "--rudder-url", "http://127.0.0.1:1", "--write-key", "wk", "--data-dir", data)
	text := casefile.Text(t, "testdata/commands.yaml")
	var cases []struct {
		Name, File, Args, Stdout string
		Env, Stderr              []string
		Code                     int
	}
	require.NoError(t, yaml.Unmarshal([]byte(text), &cases))
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			file := casefile.Temp(t, "bridge.yaml", c.File)
			names := strings.NewReplacer("FILE", file, "DATA", data, "TAKEN", strings.TrimPrefix(s.Admin, "http://"))
			for i := range c.Env {
				c.Env[i] = names.Replace(c.Env[i])
			}
			stdout, stderr := runBridge(t, c.Env, c.Code, strings.Fields(names.Replace(c.Args))...)
			require.Equal(t, names.Replace(c.Stdout), stdout)
			require.Equal(t, c.Stderr == nil, stderr == "", stderr)
			for _, want := range c.Stderr {
				require.Contains(t, stderr, want)
			}
		})
	}
}

func TestLogsOfBothFormsHaveUnits(t *testing.T) {
	for format, want := range map[string]string{"json": `"grace":"15s"`, "text": "grace=15s"} {
		var out bytes.Buffer
		newLog(config.Log{Format: format, Level: "info"}, &out).Info("stopping", "grace", 15*time.Second)
		require.Contains(t, out.String(), want)
	}
}

// The pages of serve and check describe the configuration in the same words.
func TestHelp(t *testing.T) {
	clitest.Help(t, newRoot)
	var described [2]string
	for i, name := range []string{"serve", "check"} {
		page, err := pages.ReadFile("help/bridge-" + name + ".txt")
		require.NoError(t, err)
		_, of, _ := strings.Cut(string(page), "\nThe configuration comes from")
		described[i], _, _ = strings.Cut(of, "\n\nUsage:")
	}
	require.Contains(t, described[0], "write_key_file")
	require.Equal(t, described[0], described[1])
}

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, "--open", "--rudder-url", rudderStack(t).URL, "--write-key", "wk", "--data-dir", t.TempDir(), "--admin-token", "s3cret")
	env := []string{"BRIDGE_ADMIN=" + strings.TrimPrefix(s.Admin, "http://")}
	for _, args := range [][]string{{"healthcheck"}, {"healthcheck", "--live"}} {
		stdout, stderr := runBridge(t, env, 0, args...)
		require.Empty(t, stdout+stderr)
	}
	// Without the token, which its answer therefore cannot depend on.
	_, stderr := runBridge(t, nil, 1, "healthcheck", "--url", s.Admin+"/status")
	require.Equal(t, "error: "+s.Admin+"/status answered 401\n", stderr)

	s.Kill()
	_, stderr = runBridge(t, env, 1, "healthcheck")
	require.Regexp(t, `^error: http://127.0.0.1:\d+/readyz: .+\n$`, stderr)
}

// TestNothingFromOutsideSteersTheTerminal: events come from strangers, and
// answers from whatever stands before RudderStack.
func TestNothingFromOutsideSteersTheTerminal(t *testing.T) {
	const hostile = "é 👩‍🚀 \x1b[2J \u009b31m \u007f \u202e"
	const shown = `é 👩‍🚀 \u001b[2J \u009b31m \u007f \u202e`
	letter := admin.Letter{
		Connector:  "a",
		DeadLetter: queue.DeadLetter{Number: 1, DiedAt: time.Unix(0, 0), Reason: "refused", Status: 400, Answer: hostile},
		Event:      []byte(`{"id":"` + hostile + `"}`),
	}
	letter.EventID = hostile
	var list, one, status bytes.Buffer
	printLetters(&list, admin.Letters{Dead: []admin.Letter{letter}})
	require.Contains(t, list.String(), shown)
	require.NotContains(t, list.String(), `{"id"`, "an event has personal data")
	printLetter(&one, letter)
	require.Contains(t, one.String(), `{"id":"`+shown+`"}`)
	require.Contains(t, one.String(), "answer:      400 "+shown+"\n")
	printStatus(&status, admin.Status{Connectors: []admin.ConnectorStatus{
		{Name: "a", Destination: admin.Destination{State: "paused", LastError: hostile}},
	}})
	require.Contains(t, status.String(), "a: "+shown+"\n")
}

// A proxy of the environment is used for RudderStack, apart from names in
// NO_PROXY and this machine itself.
func TestProxyOfTheEnvironment(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 1000)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.URL.String()
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodPost {
			_, _ = io.WriteString(w, "ok")
		}
	}))
	t.Cleanup(proxy.Close)
	env := []string{"HTTP_PROXY=" + proxy.URL, "NO_PROXY=.example.org"}
	s := serve(t, env, "--braze-token", "s3cret", "--rudder-url", "http://rudder.example.com", "--write-key", "wk", "--data-dir", t.TempDir())
	s.post(t, twoEvents)
	deadline := time.After(30 * time.Second)
	for posted := false; !posted; {
		select {
		case request := <-asked:
			posted = request == "POST http://rudder.example.com/v1/batch"
		case <-deadline:
			t.Fatal("the proxy was not asked: " + s.output(t))
		}
	}
	s.signal(t, syscall.SIGTERM)
	s.end()
	for len(asked) > 0 {
		<-asked
	}
	for _, url := range []string{rudderStack(t).URL, "http://localhost:1", "http://rudder.invalid.example.org"} {
		runBridge(t, env, 1, "check", "--connect", "--open", "--rudder-url", url, "--write-key", "wk")
		require.Empty(t, asked, url)
	}
}
