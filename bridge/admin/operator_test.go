package admin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func TestResume(t *testing.T) {
	f := newFixture()
	require.JSONEq(t, `{"resumed":["a","b"]}`, f.call(t, 200, "POST /api/resume", ""))
	f.call(t, 200, "POST /api/resume?connector=b", "")
	require.Equal(t, []string{"a", "b", "b"}, f.resumed)
}

func TestReplayIsOrdered(t *testing.T) {
	f := newFixture()
	require.JSONEq(t, `{"replays":[]}`, f.get(t, "/api/replay"))
	body := f.call(t, 200, "POST /api/replay", `{"connector":"b","from":"2026-01-02T10:00:00Z","to":"2026-01-02T11:00:00Z","type":["users.*","x"],"rate":2.5}`)
	require.JSONEq(t, `{"replays":[{"connector":"b","number":1,"active":true,"from":"2026-01-02T10:00:00Z","to":"2026-01-02T11:00:00Z",
		"types":["users.*","x"],"rate":2.5,"started_at":"2026-01-02T12:00:00Z","replayed":0,"refused":0,"skipped":0}]}`, body)
	require.Equal(t, queue.ReplayOrder{From: noon.Add(-2 * time.Hour), Till: noon.Add(-time.Hour), Types: []string{"users.*", "x"}, Rate: 2.5}, f.b.replay.Order)

	// One is active, so none is started for all.
	require.Contains(t, f.call(t, 409, "POST /api/replay?since=2h", ""), "connector b: ")
	require.Zero(t, f.a.replay.Number)

	f.b.replay.Replayed, f.b.replay.Refused, f.b.replay.Skipped = 5, 6, 7
	body = f.call(t, 200, "POST /api/replay/end?connector=b", "")
	require.Contains(t, body, `"active":false,`)
	require.Contains(t, body, `"ended_at":"2026-01-02T12:01:00Z","replayed":5,"refused":6,"skipped":7`)

	f.call(t, 200, "POST /api/replay?since=2h", "")
	require.Equal(t, queue.ReplayOrder{From: noon.Add(-2 * time.Hour), Till: noon}, f.a.replay.Order)
	f.call(t, 200, "POST /api/replay/end", "")
	require.False(t, f.a.replay.Active() || f.b.replay.Active())
	body = f.get(t, "/api/replay")
	require.Equal(t, 2, strings.Count(body, `"active":false`))
	require.NotContains(t, body, "gone")

	f.a.err = errors.New("disk on fire")
	f.call(t, 500, "POST /api/replay?since=2h", "")
}

func TestForget(t *testing.T) {
	f := newFixture()
	f.a.erase = []string{
		`{"user":{"external_user_id":"jo"}}`, `{"user":{"external_user_id":"j\u006f"}}`,
		`{"user":{"external_user_id":"Jo"}}`, `{"user":{"external_user_id":"jo "}}`, `{"user":{"user_id":"jo"}}`,
		`{"user":{"external_user_id":null}}`, `{"user":{"external_user_id":7}}`, `"jo"`, `{`,
		`{"user":{"external_user_id":"other","external_user_id":"jo"}}`,
	}
	f.gone.erase = []string{`{"user":{"external_user_id":"jo"}}`}
	body := f.call(t, 200, "POST /api/forget", "user=jo", "Content-Type", "application/x-www-form-urlencoded")
	require.JSONEq(t, `{"history":4,"dead":0,"pending":3,"connectors":[{"connector":"a","history":3,"dead":0,"pending":1},
		{"connector":"b","history":0,"dead":0,"pending":1},{"connector":"gone","history":1,"dead":0,"pending":1}]}`, body)
	require.Len(t, f.a.erase, 7)
	require.NotContains(t, f.log.String(), "jo")
	f.a.hidden, f.b.hidden = 2, 1
	body = f.call(t, 200, "POST /api/forget?user=nobody", "")
	require.JSONEq(t, `{"history":0,"dead":0,"pending":3,"unreadable":3,"connectors":[{"connector":"a","history":0,"dead":0,"pending":1,"unreadable":2},
		{"connector":"b","history":0,"dead":0,"pending":1,"unreadable":1},{"connector":"gone","history":0,"dead":0,"pending":1}]}`, body)

	for user, left := range map[string]int{"null": 7, "7": 6} {
		f.call(t, 200, "POST /api/forget?connector=a&user="+user, "")
		require.Len(t, f.a.erase, left)
		f.a.erase = append(slices.Clip(f.a.erase), make([]string, 7-left)...)
	}
	f.a.err = errors.New("disk on fire")
	require.Contains(t, f.call(t, 500, "POST /api/forget?user=jo", ""), "ask again")
}

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
	f := newFixture()
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
	f := newFixture()
	require.JSONEq(t, `{"drift":[]}`, f.get(t, "/api/drift"))
	f.drift = []drift.Item{{EventType: "new.Type", Count: 3, FirstSeen: noon, LastSeen: noon}}
	require.Equal(t, f.drift, answer[Drift](t, f, "/api/drift").Drift)
}

func TestPending(t *testing.T) {
	f := newFixture()
	f.parked = []delivery.ParkedEvent{{Seq: 7, Index: 3, EventType: "users.behaviors.CustomEvent", ID: "x", With: 1, Failures: 4, Status: 403, LastAnswer: "blocked"}}
	body := f.get(t, "/api/pending?connector=a")
	require.Contains(t, body, `"parked":1`)
	require.Contains(t, body, `"last_answer":"blocked"`)
	body = f.get(t, "/api/pending/7/3?connector=a")
	require.Contains(t, body, `"event":{"id":"x"}`)
	require.Contains(t, body, `"failures":4`)
	f.call(t, 409, "POST /api/pending/dead-letter?connector=a&record=7&index=4", "")
	f.call(t, 200, "POST /api/pending/dead-letter?connector=a&record=7&index=3", "")
	require.Equal(t, "7 3", f.setAside)
}

func TestBackup(t *testing.T) {
	f := newFixture()
	f.cfg.BackupDir = t.TempDir()
	f.store = "a store"
	require.Equal(t, "a store", f.get(t, "/api/backup"))
	left, err := os.ReadDir(f.cfg.BackupDir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// What a bridge that was killed has left of a backup goes with the next start, and
// nothing else does.
func TestLeftoversOfABackup(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{unfinishedBackup + "123", "backup-2026"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "queue.db"), []byte("people"), 0o600))
	}
	New(Config{BackupDir: dir})
	left, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "backup-2026", "queue.db")}, left)
}

// Where every queue is on PostgreSQL there may be no data directory either.
func TestBackupWithoutAStore(t *testing.T) {
	f := newFixture()
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "missing")} {
		f.cfg.BackupDir = dir
		require.Contains(t, f.call(t, 409, "GET /api/backup", ""), "PostgreSQL has tools of its own")
	}
}

func TestBackfill(t *testing.T) {
	for name, c := range map[string]struct {
		query   string
		pending uint64
		err     error
		status  int
		want    string
	}{
		"stored":                     {"?connector=b", 0, nil, 200, `{"accepted":4,"duplicates":3,"filtered":2,"dead":1}`},
		"a backlog":                  {"?connector=b", maxBackfillPending, nil, 200, `"accepted":4`},
		"a larger backlog":           {"?connector=b", maxBackfillPending + 1, nil, 503, "20001 events are pending"},
		"a full disk":                {"?connector=b", 0, queue.ErrFull, 503, "no room"},
		"too large":                  {"?connector=b", 0, queue.ErrTooLarge, 413, "larger"},
		"another error":              {"?connector=b", 0, errors.New("x"), 503, "could not store"},
		"no connector":               {"", 0, nil, 400, "connector is missing"},
		"an unknown connector":       {"?connector=x", 0, nil, 404, "no connector"},
		"a connector not configured": {"?connector=gone", 0, nil, 409, "not in the configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			f.b.ledger = func() queue.Ledger { return queue.Ledger{Accepted: c.pending} }
			f.failure = c.err
			require.Contains(t, f.call(t, c.status, "POST /api/backfill"+c.query, `{"events":[]}`), c.want)
			if c.status == 200 {
				require.Equal(t, `b {"events":[]}`, f.backfilled)
			}
		})
	}
}
