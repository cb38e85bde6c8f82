package refresh_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/schemas"
	"github.com/currentsbridge/currentsbridge/schemas/refresh"
)

func load(t testing.TB) *schemas.Glossary {
	t.Helper()
	g, err := schemas.Load()
	require.NoError(t, err)
	return g
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// page renders event types as Braze's documentation has them, in tabs of a title.
func page(title string, events ...schemas.EventType) string {
	var out strings.Builder
	for _, e := range events {
		fmt.Fprintf(&out, "## %s\n\nSome words with `code`.\n\n{%% tabs %%}\n{%% tab Cloud Storage %%}\n```json\n// %s\n\n{\n  \"id\": \"(required, string) Id\",\n  \"made_up\": \"(required, string) [PII] Storage only\"\n}\n```\n{%% endtab %%}\n{%% tab %s %%}\n```json\n// %s\n\n%s\n```\n#### Property details\n{%% endtab %%}\n{%% endtabs %%}\n\n",
			e.Name, e.Name, title, e.Name, block(e))
	}
	return out.String()
}

func block(e schemas.EventType) string {
	kinds := map[string]string{"string": "string", "integer": "int", "number": "float", "boolean": "boolean", "array<string>": "array of string"}
	leaves := func(fields []schemas.Field) string {
		var lines []string
		for _, f := range fields {
			if f.Type == "object" {
				continue
			}
			presence, pii := "optional", ""
			if f.Required {
				presence = "required"
			}
			if f.PII {
				pii = "[PII] "
			}
			lines = append(lines, fmt.Sprintf("    %q: \"(%s, %s) %sWhat it is (more, or less)\"", f.Name, presence, kinds[f.Type], pii))
		}
		return "{\n" + strings.Join(lines, ",\n") + "\n  }"
	}
	return fmt.Sprintf("{\n  \"event_type\": %q,\n  \"id\": \"(required, string) Id\",\n  \"time\": \"(required, int) Time\",\n  \"user\": %s,\n  \"properties\": %s\n}", e.Name, leaves(e.User), leaves(e.Properties))
}

// sample renders an event with every field filled.
func sample(t testing.TB, e schemas.EventType) string {
	t.Helper()
	values := map[string]any{"string": "text", "integer": 7, "number": 1.5, "boolean": true, "object": map[string]any{"a": 1}, "array<string>": []any{"a", nil}}
	fill := func(fields []schemas.Field) map[string]any {
		out := map[string]any{}
		for _, f := range fields {
			out[f.Name] = values[f.Type]
		}
		return out
	}
	raw, err := json.Marshal(map[string]any{"event_type": e.Name, "id": "i", "time": 1, "user": fill(e.User), "properties": fill(e.Properties)})
	require.NoError(t, err)
	return string(raw)
}

// current are the events of a glossary that Braze still shows.
func current(g *schemas.Glossary) (list []schemas.EventType) {
	for _, e := range g.Events {
		if e.Retired == "" {
			list = append(list, e)
		}
	}
	return list
}

// render writes event types as pages and as samples, each in a folder of its kind.
func render(t testing.TB, events []schemas.EventType) (dir string) {
	t.Helper()
	dir = t.TempDir()
	half := len(events) / 2
	write(t, dir, "page/event_glossary/message_events.md", page("Custom HTTP Connector", events[:half]...))
	write(t, dir, "page/event_glossary/behavior_events.md", page("Connecteur HTTP personnalisé", events[half:]...))
	write(t, dir, "page/README.md", "# Nothing of interest\n```json\n{\"a\": 1}\n```\n")
	write(t, dir, "sample/package.json", `{"name": "samples"}`)
	for _, e := range events {
		write(t, dir, "sample/Custom HTTP/"+e.Family+"/"+e.Name+".json", sample(t, e))
	}
	return dir
}

func read(t testing.TB, dir string) *refresh.Sources {
	t.Helper()
	s, err := refresh.Read(dir)
	require.NoError(t, err)
	return s
}

func differences(r *refresh.Report) (list []string) {
	for _, d := range r.Differences {
		list = append(list, strings.TrimSpace(fmt.Sprintf("%s %s %s %s>%s", d.Change, d.EventType, d.Field, d.Before, d.After)))
	}
	return list
}

// The glossary rendered through each kind of source differs in nothing, and a
// refresh writes it as it is.
func TestTheGlossaryItselfIsTheSame(t *testing.T) {
	g := load(t)
	want, err := g.Encode()
	require.NoError(t, err)
	dir := render(t, current(g))
	for _, kind := range []refresh.Kind{refresh.Page, refresh.Sample} {
		s := read(t, filepath.Join(dir, string(kind)))
		require.Len(t, s.Files, 1)
		r := refresh.Compare(g, s)
		require.True(t, r.Same, "%s: %v %v %v", kind, r.Differences, r.Contradictions, r.Unread)
		require.Equal(t, 102, r.Types)
		next, r, err := refresh.Refresh(g, s, refresh.Options{})
		require.NoError(t, err)
		require.Empty(t, r.Undecided)
		got, err := next.Encode()
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), kind)
	}
	r := refresh.Compare(g, read(t, dir))
	require.True(t, r.Same, "all kinds together: %v %v", r.Differences, r.Contradictions)
	require.Equal(t, map[refresh.Kind]int{refresh.Page: 2, refresh.Sample: 102}, r.Files)
}

// changed is the glossary with one added type, one added field, one changed type
// and one new [PII].
func changed(t testing.TB) []schemas.EventType {
	t.Helper()
	g := load(t)
	edit := func(name, field string) *schemas.Field {
		e, ok := g.Event(name)
		require.True(t, ok)
		f, ok := schemas.FieldNamed(e.Properties, field)
		require.True(t, ok, field)
		return f
	}
	edit("users.messages.email.Open", "is_amp").Type = "integer"
	edit("users.messages.sms.Send", "category").PII = true
	e, _ := g.Event("users.behaviors.Purchase")
	e.Properties = append(e.Properties, schemas.Field{Name: "voucher", Type: "string"})
	return append(current(g), schemas.EventType{Name: "users.messages.fax.Send", Family: "message",
		User: []schemas.Field{{Name: "user_id", Type: "string", Required: true, PII: true}}, Properties: []schemas.Field{{Name: "fax_text", Type: "string", PII: true}, {Name: "pages", Type: "integer"}, {Name: "app_id", Type: "string"}}})
}

func TestDifferencesAreNamed(t *testing.T) {
	g := load(t)
	four := []string{
		"field_added users.behaviors.Purchase properties.voucher >string, optional",
		"type_changed users.messages.email.Open properties.is_amp boolean>integer",
		"type_added users.messages.fax.Send  >4 fields",
		"pii_added users.messages.sms.Send properties.category not flagged>[PII]",
	}
	dir := render(t, changed(t))
	require.Equal(t, four, differences(refresh.Compare(g, read(t, dir+"/page"))))
	want := slices.Clone(four[:3]) // samples do not say what is required, and what is personal
	want[0] = "field_added users.behaviors.Purchase properties.voucher >string"
	require.Equal(t, want, differences(refresh.Compare(g, read(t, dir+"/sample"))))
	few := t.TempDir()
	for _, e := range changed(t) {
		if slices.Contains([]string{"users.behaviors.Purchase", "users.messages.email.Open", "users.messages.fax.Send", "users.messages.sms.Send"}, e.Name) {
			write(t, few, e.Name+".md", page("Custom HTTP Connector", e))
		}
	}
	require.Equal(t, four, differences(refresh.Compare(g, read(t, few))), "a folder with four pages says nothing of other types")
}

// A refreshed glossary holds what is new, and steers what is made of it.
func TestRefresh(t *testing.T) {
	g := load(t)
	dir := render(t, changed(t))
	next, r, err := refresh.Refresh(g, read(t, dir+"/page"), refresh.Options{SchemaVersion: 13, Date: "2026-12-02"})
	require.NoError(t, err)
	require.Empty(t, r.Undecided)
	require.Equal(t, "schema version 13 (2026-12-02), 103 current event types", next.Version())
	fax, ok := next.Event("users.messages.fax.Send")
	require.True(t, ok)
	require.Equal(t, "v13 message", fax.Since+" "+fax.Family)
	text, ok := schemas.FieldNamed(fax.Properties, "fax_text")
	require.True(t, ok)
	require.Equal(t, schemas.Field{Name: "fax_text", Type: "string", PII: true, Description: "What it is (more, or less)"}, *text)
	app, ok := schemas.FieldNamed(fax.Properties, "app_id")
	require.True(t, ok)
	require.Equal(t, "uuid", app.Format, "what is known of the name")
	open, _ := next.Event("users.messages.email.Open")
	amp, _ := schemas.FieldNamed(open.Properties, "is_amp")
	require.Equal(t, "integer", amp.Type)
	newsfeed, ok := next.Event("users.messages.newsfeedcard.Click")
	require.True(t, ok, "what the sources do not speak of stays")
	require.Equal(t, "2024-10", newsfeed.Retired)
	require.Empty(t, refresh.Compare(next, read(t, dir+"/page")).Differences)
	v, err := next.Validator()
	require.NoError(t, err)
	verdict := v.Event([]byte(`{"event_type":"users.messages.fax.Send","id":"i","time":1,"user":{"user_id":"u"},"properties":{"pages":"two"}}`))
	require.Len(t, verdict.Errors, 1)
	require.Empty(t, verdict.Drift)

	next, r, err = refresh.Refresh(g, read(t, dir+"/sample"), refresh.Options{})
	require.NoError(t, err)
	purchase, _ := next.Event("users.behaviors.Purchase")
	voucher, ok := schemas.FieldNamed(purchase.Properties, "voucher")
	require.True(t, ok)
	require.True(t, voucher.Personal && voucher.Since == "after v12", "text may be personal unless a source says otherwise")
	require.Len(t, r.Undecided, 8, "%v", r.Undecided)
	require.Equal(t, load(t), g, "the glossary itself is not changed")
}

// What is gone is named and kept; a flag of personal data is never taken away.
func TestRefreshKeepsWhatIsGone(t *testing.T) {
	g := load(t)
	edited := load(t)
	open, _ := edited.Event("users.messages.email.Open")
	mail, _ := schemas.FieldNamed(open.Properties, "email_address")
	mail.PII, mail.Required = false, false
	open.Properties = slices.DeleteFunc(open.Properties, func(f schemas.Field) bool { return f.Name == "is_amp" })
	events := slices.DeleteFunc(current(edited), func(e schemas.EventType) bool { return e.Name == "users.UserOrphan" })
	s := read(t, render(t, events)+"/page")
	require.Equal(t, []string{
		"type_gone users.UserOrphan  >",
		"required_changed users.messages.email.Open properties.email_address required>optional",
		"pii_gone users.messages.email.Open properties.email_address [PII]>not flagged",
		"field_gone users.messages.email.Open properties.is_amp boolean>",
	}, differences(refresh.Compare(g, s)))
	next, r, err := refresh.Refresh(g, s, refresh.Options{})
	require.NoError(t, err)
	require.Len(t, r.Undecided, 3)
	_, ok := next.Event("users.UserOrphan")
	require.True(t, ok)
	open, _ = next.Event("users.messages.email.Open")
	_, ok = schemas.FieldNamed(open.Properties, "is_amp")
	require.True(t, ok)
	mail, _ = schemas.FieldNamed(open.Properties, "email_address")
	require.True(t, mail.PII)
	require.False(t, mail.Required, "what HTTP requires, pages say")
}

// Sources that contradict each other are shown; nothing is guessed.
func TestContradictions(t *testing.T) {
	g := load(t)
	send, _ := g.Event("users.messages.sms.Send")
	dir := t.TempDir()
	with := func(typ string, pii, required bool) schemas.EventType {
		e := *send
		e.Properties = append(slices.Clone(e.Properties), schemas.Field{Name: "new", Type: typ, PII: pii, Required: required})
		return e
	}
	write(t, dir, "en.md", page("Custom HTTP Connector", with("string", false, false)))
	write(t, dir, "ja.md", page("カスタムHTTPコネクター", with("integer", true, true)))
	write(t, dir, "send.json", sample(t, with("boolean", false, false)))
	s := read(t, dir)
	r := refresh.Compare(g, s)
	require.False(t, r.Same)
	var texts []string
	for _, n := range r.Contradictions {
		require.Equal(t, "users.messages.sms.Send properties.new", n.EventType+" "+n.Field)
		texts = append(texts, n.Text)
	}
	require.Equal(t, []string{
		"type: string in the first, integer in the second", "required: no in the first, yes in the second", "[PII]: no in the first, yes in the second",
		"type: string in the first, boolean in the second",
	}, texts)
	next, r, err := refresh.Refresh(g, s, refresh.Options{})
	require.NoError(t, err)
	require.NotEmpty(t, r.Undecided)
	send, _ = next.Event("users.messages.sms.Send")
	_, added := schemas.FieldNamed(send.Properties, "new")
	require.False(t, added, "its type is not known")
}

func TestPagesAsPeopleWriteThem(t *testing.T) {
	g := load(t)
	pages, err := filepath.Glob("testdata/*.md")
	require.NoError(t, err)
	require.Len(t, pages, 5)
	for _, name := range pages {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		dir := t.TempDir()
		write(t, dir, "page.md", strings.ReplaceAll(string(text), "\n", "\r\n"))
		r := refresh.Compare(g, read(t, dir))
		require.Empty(t, r.Unread, name)
		require.Contains(t, differences(r), "field_added users.behaviors.Uninstall properties.new >integer, optional", name)
		require.NotRegexp(t, "user.user_id|other", strings.Join(differences(r), "\n"), name)
	}
}

func TestUnreadableSources(t *testing.T) {
	g := load(t)
	dir := t.TempDir()
	_, err := refresh.Read(dir)
	require.ErrorContains(t, err, "says nothing about events")
	_, err = refresh.Read(dir + "/none")
	require.ErrorIs(t, err, os.ErrNotExist)

	write(t, dir, "a.md", "```\n// users.a.B\n{\"properties\": [[\n```\n```\n// users.a.C\n{\"properties\":{\"x\":\"(sometimes, string) y\",\"z\":\"(required, blob) y\",\"ok\":\"(required, string) y\"}}\n```")
	write(t, dir, "b.json", `{"event_type": "users.a.D", `)
	write(t, dir, "c.json", `{"event_type": "no name"}`)
	s := read(t, dir)
	r := refresh.Compare(g, s)
	require.False(t, r.Same)
	var places []string
	for _, n := range r.Unread {
		places = append(places, strings.TrimSpace(n.Source+" "+n.Field))
	}
	require.Equal(t, []string{"a.md:2", "a.md:6 properties.x", "a.md:6 properties.z", "b.json", "c.json"}, places)
	var out bytes.Buffer
	require.NoError(t, r.WriteText(&out))
	require.Contains(t, out.String(), "type added       users.a.C: 3 fields  (a.md:6)")
	next, r, err := refresh.Refresh(g, s, refresh.Options{})
	require.NoError(t, err)
	c, ok := next.Event("users.a.C")
	require.True(t, ok)
	require.Len(t, c.Properties, 1, "fields of an unknown type are not added: %v", r.Undecided)
	require.Equal(t, "user", c.Family)
}
