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
	body := f.get(t, "/api/pending?connector=a", 200)
	require.Contains(t, body, `"parked":1`)
	require.Contains(t, body, `"last_answer":"blocked"`)
	body = f.get(t, "/api/pending/7/3?connector=a", 200)
	require.Contains(t, body, `"event":{"id":"x"}`)
	require.Contains(t, body, `"failures":4`)
	for path, want := range map[string]int{"/api/pending/8/3?connector=a": 404, "/api/pending/x/3?connector=a": 400, "/api/pending/7/3": 400, "/api/pending?limit=0": 400} {
		f.get(t, path, want)
	}
	for query, want := range map[string]int{"connector=a&record=7&index=3": 200, "connector=a&record=7&index=4": 409, "connector=gone&record=7&index=3": 409, "record=7&index=3": 400} {
		f.post(t, "/api/pending/dead-letter?"+query, want)
	}
	require.Equal(t, "7 3", f.setAside)
}

func TestBackup(t *testing.T) {
	f := newFixture(t)
	f.get(t, "/api/backup", 409)
	f.cfg.BackupDir = t.TempDir()
	f.store = "a store"
	body := f.get(t, "/api/backup", 200)
	require.Equal(t, "a store", body)
	left, err := os.ReadDir(f.cfg.BackupDir)
	require.NoError(t, err)
	require.Empty(t, left)
}
