package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/schemas/refresh"
)

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
	require.Equal(t, 200, status(t, "POST", url+"/v1/webhook?writeKey=wkBraze", `{"events":[`+badFax+`]}`))
	require.Equal(t, 1, total(t, url, "valid=false&rule=type"))
	require.Zero(t, total(t, url, "rule=unknown_event_type"))
}
