package admin

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/delivery"
)

func TestPending(t *testing.T) {
	f := newFixture(t)
	f.parked = []delivery.ParkedEvent{{Seq: 7, Index: 3, EventType: "users.behaviors.CustomEvent", ID: "x", With: 1, Failures: 4, Status: 403, LastAnswer: "blocked"}}
	code, body := f.get(t, "/api/pending?connector=a")
	require.Equal(t, 200, code)
	require.Contains(t, body, `"parked":1`)
	require.Contains(t, body, `"last_answer":"blocked"`)
	code, body = f.get(t, "/api/pending/7/3?connector=a")
	require.Equal(t, 200, code, body)
	require.Contains(t, body, `"event":{"id":"x"}`)
	require.Contains(t, body, `"failures":4`)
	for path, want := range map[string]int{"/api/pending/8/3?connector=a": 404, "/api/pending/x/3?connector=a": 400, "/api/pending/7/3": 400, "/api/pending?limit=0": 400} {
		code, _ = f.get(t, path)
		require.Equal(t, want, code, path)
	}
	for query, want := range map[string]int{"connector=a&record=7&index=3": 200, "connector=a&record=7&index=4": 409, "connector=gone&record=7&index=3": 409, "record=7&index=3": 400} {
		code, body = f.post(t, "/api/pending/dead-letter?"+query)
		require.Equal(t, want, code, "%s %s", query, body)
	}
	require.Equal(t, "7 3", f.setAside)
}

func TestBackup(t *testing.T) {
	f := newFixture(t)
	code, _ := f.get(t, "/api/backup")
	require.Equal(t, 409, code)
	f.cfg.BackupDir = t.TempDir()
	f.store = "a store"
	code, body := f.get(t, "/api/backup")
	require.Equal(t, 200, code)
	require.Equal(t, "a store", body)
	left, err := os.ReadDir(f.cfg.BackupDir)
	require.NoError(t, err)
	require.Empty(t, left)
}
