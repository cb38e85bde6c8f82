package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

// answering is a data plane that answers POSTs with a status that can change. While it
// refuses, it does not want to be asked again for five minutes.
func answering(t *testing.T, status int) (url string, answer *atomic.Int64) {
	answer = &atomic.Int64{}
	answer.Store(int64(status))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.Header().Set("Retry-After", "300")
			w.WriteHeader(int(answer.Load()))
			if answer.Load() == http.StatusOK {
				_, _ = io.WriteString(w, "ok") // RudderStack's own word
			}
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, answer
}

// TestOperator has a day of an operator, with an admin token all the while: a
// destination that refuses, then what is new, a replay, and a person to forget.
func TestOperator(t *testing.T) {
	t.Parallel()
	url, answer := answering(t, 401)
	token := casefile.Temp(t, "admin-token", "operator\n")
	s := serve(t, []string{"BRIDGE_ADMIN_TOKEN_FILE=" + token}, "--braze-token", "s3cret", "--rudder-url", url, "--write-key", "wk", "--data-dir", t.TempDir())
	_, stderr := runBridge(t, nil, 1, "status", "--admin", s.Admin)
	require.Contains(t, stderr, "401 Unauthorized: the admin token is missing or wrong")
	env := []string{"BRIDGE_ADMIN=" + s.Admin, "BRIDGE_ADMIN_TOKEN=wrong"}
	bridge := func(code int, args ...string) string {
		stdout, stderr := runBridge(t, env, code, append(args, "--admin-token-file", token)...)
		return stdout + stderr
	}
	for i := range 5 {
		s.post(t, fmt.Sprintf(`{"events":[{"id":"%d","event_type":"users.new.Type","user":{"external_user_id":"ada-%d"}}]}`, i, i%2))
	}
	s.until(t, "operator", `"state":"paused"`)

	out := bridge(3, "forget", "--user", "ada-0", "--json")
	require.JSONEq(t, `{"history":0,"dead":0,"pending":3,"connectors":[{"connector":"default","history":0,"dead":0,"pending":3}]}`, out)

	answer.Store(200)
	out = bridge(0, "resume", "--connector", "default")
	require.Equal(t, "connector default: the destination is tried again\n", out)
	s.until(t, "operator", `"delivered":5`)

	out = bridge(0, "drift")
	require.Regexp(t, `(?m)^users\.new\.Type +\(the type itself\) +5 +20`, out)
	out = bridge(0, "drift", "--json")
	require.Contains(t, out, `{"drift":[{"event_type":"users.new.Type","field":"","count":5,`)

	out = bridge(0, "replay", "--since", "1h", "--type", "users.new.*", "--rate", "1000", "--wait")
	require.Regexp(t, `(?m)^connector default: replay 1 \(received 20.* to 20.*\) has ended: 5 delivered again, 0 refused, 0 left out$`, out)
	out = bridge(0, "replay", "status", "--json")
	require.Contains(t, out, `"active":false`)
	require.Contains(t, out, `"types":["users.new.*"],"rate":1000`)
	out = bridge(0, "status", "--json")
	require.Contains(t, out, `"delivered":5,"dead":0,"purged":0,"pending":0,"replayed":5`)

	out = bridge(0, "forget", "--user", "ada-0")
	require.Equal(t, "connector default: 3 events of history and 0 dead letters are removed\n", out)
	require.NotContains(t, s.output(t), "ada-")

	out = bridge(0, "replay", "--from", "2020-01-01T00:00:00Z", "--rate", "0.001") // a slow one
	require.Contains(t, out, "replay 2 (received 2020-01-01T00:00:00Z to ")
	out = bridge(1, "replay", "--since", "1h")
	require.Contains(t, out, "409 Conflict: connector default: a replay of history is active")
	require.Contains(t, bridge(0, "replay", "end"), "has ended")
}

// What damage hides is said, with what to do, and in the exit code of forget.
func TestDamageIsSaid(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"/api/forget":     `{"history":1,"dead":0,"pending":0,"unreadable":2,"connectors":[{"connector":"a","history":1,"dead":0,"pending":0,"unreadable":2}]}`,
		"/api/dead/purge": `{"moved":4,"unreadable":1,"connectors":[{"connector":"a","moved":4,"unreadable":1}]}`,
		"/api/dead/7":     `{"connector":"a","number":7,"reason":"damaged","answer":"body does not match its checksum","events":1,"altered":true,"event":{},"unfit":true}`,
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answers[r.URL.Path])
	}))
	defer s.Close()
	admin := s.Listener.Addr().String()
	out, _ := runBridge(t, nil, 3, "forget", "--user", "ada", "--admin", admin)
	require.Contains(t, out, "connector a: 2 places of the disk could not be searched, because of damage, and may hold more\nwith SQLite, restart the bridge, ")
	require.Contains(t, out, "queue.db.*.damaged")
	out, _ = runBridge(t, nil, 0, "dead", "purge", "--all", "--admin", admin)
	require.Equal(t, "connector a: 4 dead letters purged\nconnector a: not purged: 1 dead letter that cannot be read from disk; restart the bridge, which rebuilds the file; then they can be purged\n", out)
	out, _ = runBridge(t, nil, 0, "dead", "show", "7", "--admin", admin)
	require.Contains(t, out, "answer:      body does not match its checksum\n")
}

// Every flag of serve is a variable, and what is wrong with it is said of it.
func TestFlagsAreVariables(t *testing.T) {
	var env, args, flags, names []string
	for _, s := range config.Settings() {
		switch s.Flag {
		case "", "queue-password", "queue-password-file", "admin-token-file", "braze-token-file", "write-key-file", "salt-file", "data-dir", "salt", "filter-allow", "filter-deny", "tls-key":
			continue // not any text is wrong there, or not beside the others
		}
		env, names = append(env, s.Env+"=a b:"), append(names, s.Env)
		args, flags = append(args, "--"+s.Flag+"=a b:"), append(flags, "--"+s.Flag)
	}
	require.Greater(t, len(flags), 30)
	for _, tt := range []struct{ env, args, want []string }{{nil, args, flags}, {env, nil, names}} {
		stdout, _ := runBridge(t, tt.env, 1, append([]string{"check"}, tt.args...)...)
		for _, want := range tt.want {
			require.Regexp(t, "(?m)^"+want+": ", stdout)
		}
	}
}

// TestBackfillExitCodes backfills into a store whose bridge does not run.
func TestBackfillExitCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	settings, export := filepath.Join(dir, "bridge.yaml"), filepath.Join(dir, "event_type=users.messages.email.Open", "part.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(export), 0o755))
	require.NoError(t, os.WriteFile(settings, []byte("data_dir: "+filepath.Join(dir, "data")+"\nconnectors:\n  - {name: a, open: true, rudder_url: \"http://127.0.0.1:1\", write_key: k}\n"), 0o600))
	good := `{"id":"1","time":1700000000,"user_id":"u"}` + "\n"
	require.NoError(t, os.WriteFile(export, []byte(good), 0o600))
	args := []string{"backfill", "--config", settings, "--progress", filepath.Join(dir, "progress"), "--connector"}
	out, _ := runBridge(t, nil, 0, append(args, "a", export)...)
	require.Contains(t, out, "         1           0         0     0           0 users.messages.email.Open\n")

	for _, times := range [][]string{{"--from", "2023-11-15"}, {"--to", "2023-11-14T22:13:20Z"}} { // when the event happened
		dated := append([]string{"backfill", "--config", settings, "--progress", filepath.Join(dir, "dated"), "--connector", "a", export}, times...)
		out, _ = runBridge(t, nil, 0, dated...)
		require.Contains(t, out, "         0           0         0     0           1 users.messages.email.Open\n")
	}

	require.NoError(t, os.WriteFile(export, []byte(good+"broken\n"), 0o600)) // another file by now
	out, stderr := runBridge(t, nil, 2, append(args, "a", export)...)
	require.Contains(t, stderr, "part.json: record 2: no JSON object")
	require.Contains(t, out, "         1           1         0     0           0 users.messages.email.Open\n")
	require.Contains(t, out, "skipped: 1 broken records")

	_, stderr = runBridge(t, nil, 1, append(args, "b", export)...)
	require.Contains(t, stderr, "is not in the configuration")
}

// An event that has just come under suspicion has not failed alone yet, and no time is
// printed for that.
func TestFreshSuspectIsPrinted(t *testing.T) {
	fresh := delivery.ParkedEvent{Seq: 7, Index: 3, EventType: "x", ID: "1", With: 4}
	var out strings.Builder
	printPending(&out, admin.PendingList{Connectors: []admin.ConnectorPending{{Connector: "a", Parked: 1, Suspects: []delivery.ParkedEvent{fresh}}}})
	printPendingEvent(&out, admin.PendingEvent{Connector: "a", Suspect: &fresh, Event: []byte("{}")})
	require.Contains(t, out.String(), "7\t3\tx\t1\t4\t0\t\t0 \t\n")
	require.NotContains(t, out.String(), "0001")
	fresh.FirstFailure = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	printPendingEvent(&out, admin.PendingEvent{Connector: "a", Suspect: &fresh, Event: []byte("{}")})
	require.Contains(t, out.String(), "first failure: 2026-01-02T03:04:05Z\n")
}
