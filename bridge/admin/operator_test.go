package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func TestResume(t *testing.T) {
	f := newFixture(t)
	body := f.post(t, "/api/resume", 200)
	require.JSONEq(t, `{"resumed":["a","b"]}`, body)
	f.post(t, "/api/resume?connector=b", 200)
	require.Equal(t, []string{"a", "b", "b"}, f.resumed)
	body = f.post(t, "/api/resume?connector=gone", 409)
	require.Contains(t, body, "not in the configuration")
	f.post(t, "/api/resume?connector=c", 404)
}

func TestReplayIsOrdered(t *testing.T) {
	f := newFixture(t)
	body := f.get(t, "/api/replay", 200)
	require.JSONEq(t, `{"replays":[]}`, body)

	r := httptest.NewRequest(http.MethodPost, "/api/replay", strings.NewReader(
		`{"connector":"b","from":"2026-01-02T10:00:00Z","to":"2026-01-02T11:00:00Z","type":["users.*","x"],"rate":2.5}`))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	body = f.request(t, r, 200)
	require.JSONEq(t, `{"replays":[{"connector":"b","number":1,"active":true,"from":"2026-01-02T10:00:00Z","to":"2026-01-02T11:00:00Z",
		"types":["users.*","x"],"rate":2.5,"started_at":"2026-01-02T12:00:00Z","replayed":0,"refused":0,"skipped":0}]}`, body)
	require.Equal(t, queue.ReplayOrder{From: noon.Add(-2 * time.Hour), Till: noon.Add(-time.Hour), Types: []string{"users.*", "x"}, Rate: 2.5}, f.b.replay.Order)

	// One is active, so none is started for all.
	body = f.post(t, "/api/replay?since=2h", 409)
	require.Contains(t, body, "connector b: ")
	require.Zero(t, f.a.replay.Number)

	f.b.replay.Replayed, f.b.replay.Refused, f.b.replay.Skipped = 5, 6, 7
	body = f.request(t, httptest.NewRequest(http.MethodPost, "/api/replay/end?connector=b", nil), 200)
	require.Contains(t, body, `"active":false,`)
	require.Contains(t, body, `"ended_at":"2026-01-02T12:01:00Z","replayed":5,"refused":6,"skipped":7`)

	f.post(t, "/api/replay?since=2h", 200)
	require.Equal(t, queue.ReplayOrder{From: noon.Add(-2 * time.Hour), Till: noon}, f.a.replay.Order)
	f.post(t, "/api/replay/end", 200)
	require.False(t, f.a.replay.Active() || f.b.replay.Active())
	body = f.get(t, "/api/replay", 200)
	require.Equal(t, 2, strings.Count(body, `"active":false`))
	require.NotContains(t, body, "gone")

	f.a.err = errors.New("disk on fire")
	f.post(t, "/api/replay?since=2h", 500)
}

func TestReplaysThatAreRefused(t *testing.T) {
	f := newFixture(t)
	for query, want := range map[string]int{
		"": 400, "since=x": 400, "from=x": 400, "since=1h&from=2026-01-02T10:00:00Z": 400, "since=1h&to=2h": 400,
		"since=1h&to=x": 400, "since=1h&type=[": 400, "since=1h&type=": 400, "since=1h&rate=-1": 400, "since=1h&rate=NaN": 400,
		"since=1h&rate=x": 400, "since=0s": 400, "since=1h&connector=c": 404, "since=1h&connector=gone": 409,
	} {
		body := f.post(t, "/api/replay?"+query, want)
		require.Contains(t, body, `"error":"`)
	}
	for body, want := range map[string]string{`[]`: "no JSON object", `{"since":{}}`: "since must be text", `{"since":null}`: "since must be text"} {
		r := httptest.NewRequest(http.MethodPost, "/api/replay", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		answer := f.request(t, r, 400)
		require.Contains(t, answer, want)
	}
	require.Zero(t, f.a.replay.Number)
}

func TestForget(t *testing.T) {
	f := newFixture(t)
	f.a.erase = []string{
		`{"user":{"external_user_id":"jo"}}`, `{"user":{"external_user_id":"j\u006f"}}`,
		`{"user":{"external_user_id":"Jo"}}`, `{"user":{"external_user_id":"jo "}}`, `{"user":{"user_id":"jo"}}`,
		`{"user":{"external_user_id":null}}`, `{"user":{"external_user_id":7}}`, `"jo"`, `{`,
		`{"user":{"external_user_id":"other","external_user_id":"jo"}}`,
	}
	f.gone.erase = []string{`{"user":{"external_user_id":"jo"}}`}
	r := httptest.NewRequest(http.MethodPost, "/api/forget", strings.NewReader(url.Values{"user": {"jo"}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	body := f.request(t, r, 200)
	require.JSONEq(t, `{"history":4,"dead":0,"pending":3,"connectors":[{"connector":"a","history":3,"dead":0,"pending":1},
		{"connector":"b","history":0,"dead":0,"pending":1},{"connector":"gone","history":1,"dead":0,"pending":1}]}`, body)
	require.Len(t, f.a.erase, 7)
	require.NotContains(t, f.log.String(), "jo")

	for user, left := range map[string]int{"null": 7, "7": 6} {
		body = f.post(t, "/api/forget?connector=a&user="+user, 200)
		require.Len(t, f.a.erase, left, body)
		f.a.erase = append(slices.Clip(f.a.erase), make([]string, 7-left)...)
	}
	f.post(t, "/api/forget", 400)
	f.get(t, "/api/forget?user=jo", 405)
	f.a.err = errors.New("disk on fire")
	body = f.post(t, "/api/forget?user=jo", 500)
	require.Contains(t, body, "ask again")
}

// slow takes its time to erase.
type slow struct {
	*books
	takes time.Duration
}

func (s slow) Erase(ctx context.Context, match func([]byte) bool) (queue.Erasure, error) {
	select {
	case <-ctx.Done():
		return queue.Erasure{}, ctx.Err()
	case <-time.After(s.takes):
		return queue.Erasure{History: 1}, nil
	}
}

// The time limits of the server are for requests that should be short.
func TestForgetMayTakeLongerThanTheServerAllows(t *testing.T) {
	f := newFixture(t)
	f.Show([]Connector{{Name: "a", Queue: slow{f.a, 300 * time.Millisecond}}})
	server := httptest.NewUnstartedServer(nil)
	server.Config = f.Server()
	server.Config.ReadTimeout, server.Config.WriteTimeout = 50*time.Millisecond, 50*time.Millisecond
	server.Start()
	defer server.Close()
	resp, err := http.PostForm(server.URL+"/api/forget", url.Values{"user": {"jo"}})
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), `"history":1`)
}

func TestDrift(t *testing.T) {
	f := newFixture(t)
	body := f.get(t, "/api/drift", 200)
	require.JSONEq(t, `{"drift":[]}`, body)
	f.drift = []drift.Item{{EventType: "new.Type", Count: 3, FirstSeen: noon, LastSeen: noon}}
	body = f.get(t, "/api/drift", 200)
	var answer Drift
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	require.Equal(t, f.drift, answer.Drift)
}

func TestToken(t *testing.T) {
	f := newFixture(t)
	f.SetToken("operator")
	status := func(path, authorization string) int {
		return f.ask("GET", path, "", "Authorization", authorization).StatusCode
	}
	for _, path := range []string{"/status", "/metrics", "/api/dead", "/api/dead/1", "/api/replay", "/api/drift", "/nothing"} {
		for _, wrong := range []string{"", "Bearer", "Bearer operato", "Bearer operator2", "Basic operator", "operator"} {
			require.Equal(t, 401, status(path, wrong), "%s %q", path, wrong)
		}
		require.NotEqual(t, 401, status(path, "bearer operator"), path)
	}
	require.Contains(t, f.post(t, "/api/resume", 401), `{"error":"the admin token is missing or wrong`)
	require.Empty(t, f.resumed)
	for _, path := range []string{"/livez", "/readyz"} {
		require.Equal(t, 200, status(path, ""))
	}
	f.SetToken("next")
	require.Equal(t, 401, status("/status", "Bearer operator"))
	f.SetToken("")
	f.get(t, "/status", 200)
}

// Pages of other sites may change nothing, whatever they know.
func TestPagesFromElsewhere(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/api/dead/replay", "/api/dead/purge", "/api/resume", "/api/replay", "/api/replay/end", "/api/forget"} {
		r := httptest.NewRequest(http.MethodPost, path+"?user=jo&since=1h&all=true", nil)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		body := f.request(t, r, 403)
		require.Contains(t, body, `{"error":"`)
	}
	require.Empty(t, f.resumed)
}
