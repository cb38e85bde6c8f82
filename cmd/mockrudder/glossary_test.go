package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
	"github.com/currentsbridge/currentsbridge/schemas/refresh"
)

// faxPage is a page of Braze's documentation with a type that is new.
const faxPage = "{% tabs %}\n{% tab Custom HTTP Connector %}\n```json\n// Fax Send: users.messages.fax.Send\n" + `{
  "id": "(required, string) Globally unique id of this event",
  "event_type": "(required, string) The type",
  "time": "(required, int) Seconds since 1970",
  "user": {"user_id": "(required, string) [PII] Braze's id of the user"},
  "properties": {"fax_text": "(required, string) [PII] What was sent", "pages": "(optional, int) How many"}
}` + "\n```\n{% endtab %}\n{% endtabs %}\n"

const (
	goodFax = `{"event_type":"users.messages.fax.Send","id":"i","time":1700000000,"user":{"user_id":"u"},"properties":{"fax_text":"t","pages":2}}`
	badFax  = `{"event_type":"users.messages.fax.Send","id":"i","time":1700000000,"user":{"user_id":"u"},"properties":{"fax_text":5}}`
)

func TestGlossaryCommands(t *testing.T) {
	dir := t.TempDir()
	page, newer := write(t, "page.md", faxPage), filepath.Join(dir, "glossary.json")

	out, code, err := command(t, "", "glossary", "list")
	require.NoError(t, err)
	require.Zero(t, code)
	require.Contains(t, out, "schema version 12 (2026-09-02), 102 current event types")
	require.Regexp(t, `users\.messages\.newsfeedcard\.Click +message +retired 2024-10\n`, out)
	out, _, err = command(t, "", "glossary", "list", "users.*.survey.*")
	require.NoError(t, err)
	require.Regexp(t, `^users\.messages\.survey\.Response +message +since v11\nschema version`, out)
	_, code, err = command(t, "", "glossary", "list", "nothing.*")
	require.Equal(t, 1, code)
	require.ErrorContains(t, err, "nothing.*")

	out, _, err = command(t, "", "glossary", "show", "users.messages.email.Open")
	require.NoError(t, err)
	require.Regexp(t, `properties\.email_address +string +required +\[PII\] +E-mail address of the user\n`, out)
	require.Regexp(t, `properties\.send_time +integer +optional +v12 +When `, out)
	out, _, err = command(t, "", "glossary", "show", "users.messages.sms.InboundReceive")
	require.NoError(t, err)
	require.Regexp(t, `properties\.message_body +string +\w+ +personal `, out)
	_, code, _ = command(t, "", "glossary", "show", "nothing")
	require.Equal(t, 1, code)

	out, code, _ = command(t, "", "glossary", "diff", page)
	require.Equal(t, 2, code)
	require.Equal(t, "type added       users.messages.fax.Send: 3 fields  (page.md:4)\n1 difference from schema version 12 (2026-09-02), 102 current event types; 1 event type in 1 page, 0 samples, 0 Avro files\n", out)
	_, code, err = command(t, "", "glossary", "diff", filepath.Join(dir, "missing"))
	require.Equal(t, 1, code)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, code, _ = command(t, "", "glossary", "diff", page, "--format", "xml")
	require.Equal(t, 1, code)

	out, code, _ = command(t, "", "glossary", "refresh", page, "--out", newer, "--schema-version", "13", "--date", "2026-12-02", "--format", "json")
	require.Equal(t, 2, code)
	var report refresh.Report
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Equal(t, []refresh.Difference{{Change: refresh.TypeAdded, EventType: "users.messages.fax.Send", After: "3 fields", Source: "page.md:4"}}, report.Differences)
	out, code, err = command(t, "", "glossary", "diff", page, "--glossary", newer)
	require.NoError(t, err)
	require.Zero(t, code, out)
	_, code, err = command(t, "", "glossary", "refresh", page, "--out", newer, "--date", "tomorrow")
	require.Equal(t, 1, code)
	require.ErrorContains(t, err, "date")
}

// validate and serve use a newer glossary.
func TestNewerGlossary(t *testing.T) {
	dir := t.TempDir()
	page, newer := write(t, "page.md", faxPage), filepath.Join(dir, "glossary.json")
	_, code, _ := command(t, "", "glossary", "refresh", page, "--out", newer)
	require.Equal(t, 2, code)

	out, code, _ := command(t, badFax, "validate", "--as", "braze")
	require.Zero(t, code, "the built-in one does not know the type: %s", out)
	out, code, _ = command(t, badFax+"\n"+goodFax, "validate", "--as", "braze", "--glossary", newer)
	require.Equal(t, 2, code)
	require.Contains(t, out, "/properties/fax_text: type: expected string")
	require.Contains(t, out, "2 events: 1 valid, 1 invalid; 0 with")
	_, code, err := command(t, goodFax, "validate", "--glossary", page)
	require.Equal(t, 1, code)
	require.ErrorContains(t, err, page)

	opts, err := serveFlags{glossary: newer, keep: 10, keepBytes: 1 << 20, rateWindow: time.Second}.options()
	require.NoError(t, err)
	server := mockrudder.Start(t, append(opts, mockrudder.WithSource("wk", mockrudder.Braze))...)
	require.Equal(t, 200, status(t, "POST", server.WebhookURL("wk"), `{"events":[`+badFax+`]}`))
	stored := server.Events(mockrudder.Filter{})
	require.False(t, stored[0].Valid)
	require.Empty(t, stored[0].Drift)
	_, err = serveFlags{glossary: page}.options()
	require.ErrorContains(t, err, page)
}
