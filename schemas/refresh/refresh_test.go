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

	"github.com/hamba/avro/v2"
	"github.com/hamba/avro/v2/ocf"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/schemas"
	"github.com/currentsbridge/currentsbridge/schemas/refresh"
)

func load(t testing.TB) *schemas.Glossary {
	g, err := schemas.Load()
	require.NoError(t, err)
	return g
}

// property returns a field of an event type's properties; nil: it has none.
func property(t testing.TB, g *schemas.Glossary, eventType, name string) *schemas.Field {
	e, ok := g.Event(eventType)
	require.True(t, ok, eventType)
	f, _ := schemas.FieldNamed(e.Properties, name)
	return f
}

func write(t testing.TB, dir, name, text string) {
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

// container renders an event type as an empty object container file, flat.
func container(t testing.TB, e schemas.EventType) string {
	types := map[string]any{
		"string": "string", "integer": "long", "number": "double", "boolean": "boolean",
		"array<string>": map[string]any{"type": "array", "items": []any{"null", "string"}},
	}
	fields := []any{map[string]any{"name": "id", "type": "string"}, map[string]any{"name": "time", "type": "int"}}
	for _, f := range slices.Concat(e.User, e.Properties) {
		typ, doc := types[f.Type], "What it is"
		if f.Type == "object" {
			f.Name, typ = "properties", "string"
		}
		if !f.Required {
			typ = []any{"null", typ}
		}
		if f.PII {
			doc = "[PII] " + doc
		}
		fields = append(fields, map[string]any{"name": f.Name, "type": typ, "doc": doc})
	}
	schema, err := json.Marshal(map[string]any{"type": "record", "name": "com.braze.currents." + e.Name, "fields": fields})
	require.NoError(t, err)
	var out bytes.Buffer
	enc, err := ocf.NewEncoder(string(schema), &out, ocf.WithSchemaMarshaler(ocf.FullSchemaMarshaler), ocf.WithEncoderSchemaCache(&avro.SchemaCache{}))
	require.NoError(t, err)
	require.NoError(t, enc.Close())
	return out.String()
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

// render writes event types as sources of some kinds, each in a folder of its kind.
func render(t testing.TB, events []schemas.EventType, kinds ...refresh.Kind) (dir string) {
	dir = t.TempDir()
	half := len(events) / 2
	if slices.Contains(kinds, refresh.Page) {
		write(t, dir, "page/event_glossary/message_events.md", page("Custom HTTP Connector", events[:half]...))
		write(t, dir, "page/event_glossary/behavior_events.md", page("Connecteur HTTP personnalisé", events[half:]...))
		write(t, dir, "page/README.md", "# Nothing of interest\n```json\n{\"a\": 1}\n```\n")
	}
	for _, e := range events {
		if slices.Contains(kinds, refresh.Sample) {
			write(t, dir, "sample/Custom HTTP/"+e.Family+"/"+e.Name+".json", sample(t, e))
		}
		if slices.Contains(kinds, refresh.Avro) {
			write(t, dir, "avro/sample-data/"+e.Name+".avro", container(t, e))
		}
	}
	if slices.Contains(kinds, refresh.Sample) {
		write(t, dir, "sample/package.json", `{"name": "samples"}`)
	}
	return dir
}

func read(t testing.TB, g *schemas.Glossary, dir string) *refresh.Sources {
	s, err := refresh.Read(dir, g)
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
	kinds := []refresh.Kind{refresh.Page, refresh.Sample, refresh.Avro}
	dir := render(t, current(g), kinds...)
	for _, kind := range kinds {
		s := read(t, g, filepath.Join(dir, string(kind)))
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
	r := refresh.Compare(g, read(t, g, dir))
	require.True(t, r.Same, "all kinds together: %v %v", r.Differences, r.Contradictions)
	require.Equal(t, map[refresh.Kind]int{refresh.Page: 2, refresh.Sample: 102, refresh.Avro: 102}, r.Files)
}

// changed is the glossary with one added type, one added field, one changed type
// and one new [PII].
func changed(t testing.TB) []schemas.EventType {
	g := load(t)
	property(t, g, "users.messages.email.Open", "is_amp").Type = "integer"
	property(t, g, "users.messages.sms.Send", "category").PII = true
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
	dir := render(t, changed(t), refresh.Page, refresh.Sample, refresh.Avro)
	require.Equal(t, four, differences(refresh.Compare(g, read(t, g, dir+"/page"))))
	for i, without := range []string{" >string, optional", ""} { // neither samples nor storage say what HTTP requires
		kind := []refresh.Kind{refresh.Avro, refresh.Sample}[i]
		got := differences(refresh.Compare(g, read(t, g, filepath.Join(dir, string(kind)))))
		want := slices.Clone(four)
		want[0] = "field_added users.behaviors.Purchase properties.voucher >string"
		if without == "" {
			want = want[:3] // samples do not say what is personal
		}
		require.Equal(t, want, got, kind)
	}
	few := t.TempDir()
	for _, e := range changed(t) {
		if slices.Contains([]string{"users.behaviors.Purchase", "users.messages.email.Open", "users.messages.fax.Send", "users.messages.sms.Send"}, e.Name) {
			write(t, few, e.Name+".md", page("Custom HTTP Connector", e))
		}
	}
	require.Equal(t, four, differences(refresh.Compare(g, read(t, g, few))), "a folder with four pages says nothing of other types")
}

// A refreshed glossary holds what is new, and steers what is made of it.
func TestRefresh(t *testing.T) {
	g := load(t)
	dir := render(t, changed(t), refresh.Page, refresh.Sample, refresh.Avro)
	next, r, err := refresh.Refresh(g, read(t, g, dir+"/page"), refresh.Options{SchemaVersion: 13, Date: "2026-12-02"})
	require.NoError(t, err)
	require.Empty(t, r.Undecided)
	require.Equal(t, "schema version 13 (2026-12-02), 103 current event types", next.Version())
	fax, ok := next.Event("users.messages.fax.Send")
	require.True(t, ok)
	require.Equal(t, "v13 message", fax.Since+" "+fax.Family)
	require.Equal(t, schemas.Field{Name: "fax_text", Type: "string", PII: true, Description: "What it is (more, or less)"}, *property(t, next, fax.Name, "fax_text"))
	require.Equal(t, "uuid", property(t, next, fax.Name, "app_id").Format, "what is known of the name")
	require.Equal(t, "integer", property(t, next, "users.messages.email.Open", "is_amp").Type)
	newsfeed, ok := next.Event("users.messages.newsfeedcard.Click")
	require.True(t, ok, "what the sources do not speak of stays")
	require.Equal(t, "2024-10", newsfeed.Retired)
	require.Empty(t, refresh.Compare(next, read(t, next, dir+"/page")).Differences)
	v, err := next.Validator()
	require.NoError(t, err)
	verdict := v.Event([]byte(`{"event_type":"users.messages.fax.Send","id":"i","time":1,"user":{"user_id":"u"},"properties":{"pages":"two"}}`))
	require.Len(t, verdict.Errors, 1)
	require.Empty(t, verdict.Drift)

	next, r, err = refresh.Refresh(g, read(t, g, dir+"/sample"), refresh.Options{})
	require.NoError(t, err)
	voucher := property(t, next, "users.behaviors.Purchase", "voucher")
	require.True(t, voucher.Personal && voucher.Since == "after v12", "text may be personal unless a source says otherwise")
	require.Len(t, r.Undecided, 8, "%v", r.Undecided)

	next, r, err = refresh.Refresh(g, read(t, g, dir+"/avro"), refresh.Options{})
	require.NoError(t, err)
	require.Len(t, next.Events, len(g.Events), "storage adds no types")
	require.Equal(t, load(t), g, "the glossary itself is not changed")
	require.True(t, property(t, next, "users.messages.sms.Send", "category").PII, "but flags")
	require.Len(t, r.Undecided, 3)
}

// What is gone is named and kept; a flag of personal data is never taken away.
func TestRefreshKeepsWhatIsGone(t *testing.T) {
	g := load(t)
	edited := load(t)
	open, _ := edited.Event("users.messages.email.Open")
	mail := property(t, edited, open.Name, "email_address")
	mail.PII, mail.Required = false, false
	open.Properties = slices.DeleteFunc(open.Properties, func(f schemas.Field) bool { return f.Name == "is_amp" })
	events := slices.DeleteFunc(current(edited), func(e schemas.EventType) bool { return e.Name == "users.UserOrphan" })
	s := read(t, g, render(t, events, refresh.Page))
	require.Equal(t, []string{
		"type_gone users.UserOrphan  >",
		"required_changed users.messages.email.Open properties.email_address required>optional",
		"pii_gone users.messages.email.Open properties.email_address [PII]>not flagged",
		"field_gone users.messages.email.Open properties.is_amp boolean>",
	}, differences(refresh.Compare(g, s)))
	next, r, err := refresh.Refresh(g, s, refresh.Options{})
	require.NoError(t, err)
	require.Len(t, r.Undecided, 3)
	require.NotNil(t, property(t, next, "users.UserOrphan", "orphaned_by_id"))
	require.NotNil(t, property(t, next, open.Name, "is_amp"))
	mail = property(t, next, open.Name, "email_address")
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
	write(t, dir, "send.avro", container(t, with("number", false, true)))
	s := read(t, g, dir)
	r := refresh.Compare(g, s)
	require.False(t, r.Same)
	var texts []string
	for _, n := range r.Contradictions {
		require.Equal(t, "users.messages.sms.Send properties.new", n.EventType+" "+n.Field)
		texts = append(texts, n.Text)
	}
	require.Equal(t, []string{
		"type: string in the first, integer in the second", "required: no in the first, yes in the second", "[PII]: no in the first, yes in the second",
		"type: string in the first, boolean in the second", "type: string in the first, number in the second", "[PII]: yes in the first, no in the second",
	}, texts)
	next, r, err := refresh.Refresh(g, s, refresh.Options{})
	require.NoError(t, err)
	require.NotEmpty(t, r.Undecided)
	require.Nil(t, property(t, next, send.Name, "new"), "its type is not known")
}

// Storage has fields that HTTP does not have, and requires others.
func TestStorageIsNoSourceWhereHTTPSpeaks(t *testing.T) {
	g := load(t)
	send, _ := g.Event("users.messages.email.Send")
	dir := t.TempDir()
	write(t, dir, "send.md", page("Custom HTTP Connector", *send))
	storage := *send
	storage.Properties = append(slices.Clone(send.Properties), schemas.Field{Name: "sdk_version", Type: "string", Required: true})
	for i := range storage.Properties {
		storage.Properties[i].Required = true
	}
	write(t, dir, "event_type=users.messages.email.Send/date=2026-01-01-00/part.avro", strings.ReplaceAll(container(t, storage), "com.braze.currents.users.messages.email.Send", "com.braze.currents.xxxxx.xxxxxxxx.xxxxx.Send"))
	r := refresh.Compare(g, read(t, g, dir))
	require.True(t, r.Same, "%v %v", r.Differences, r.Contradictions)
	require.Equal(t, 1, r.Files[refresh.Avro])
}

func TestPagesAsPeopleWriteThem(t *testing.T) {
	g := load(t)
	for name, text := range map[string]string{
		"commas too many":  "```json\n// Uninstall: users.behaviors.Uninstall\n{\n  \"event_type\": \"users.behaviors.Uninstall\",\n  \"user\": {\n    \"user_id\": \"(required, string) [PII] The \"id\"\",\n  },\n  \"properties\": {\n    \"new\": \"(optional,long)a number\",\n  },\n}\n```",
		"no tab, one line": "~~~\n# users.behaviors.Uninstall.\n{\"user\":{\"user_id\":\"(required, string) [PII] x\"},\"properties\":{\"new\":\"(optional, int) y\"}}\n~~~",
		"a free object":    "```json\n// users.behaviors.Uninstall\n{\"user\":{\"user_id\":\"(required, string) [PII] x\"},\"properties\":{\"new\":\"(optional, int) y\",\"free\":{\"a\":\"b\"}}}\n```",
		"mdx":              "<Tabs><TabItem value=\"x\" label=\"Custom HTTP Connector\">\n\n  ```json\n  // users.behaviors.Uninstall\n  {\"user\":{\"user_id\":\"(required, string) [PII] x\"},\"properties\":{\"new\":\"(optional, int) y\"}}\n  ```\n</TabItem></Tabs>",
		"another tab":      "{% tab Segment %}\n```json\n// users.behaviors.Uninstall\n{\"properties\":{\"other\":\"(required, string) x\"}}\n```\n{% endtab %}\n{% tab \"Custom HTTP Connector\" %}\n```\n// users.behaviors.Uninstall\n{\"user\":{\"user_id\":\"(required, string) [PII] x\"},\"properties\":{\"new\":\"(optional, int) y\"}}\n```\n{% endtab %}",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "page.md", strings.ReplaceAll(text, "\n", "\r\n"))
			r := refresh.Compare(g, read(t, g, dir))
			require.Empty(t, r.Unread)
			require.Contains(t, differences(r), "field_added users.behaviors.Uninstall properties.new >integer, optional")
			require.NotContains(t, strings.Join(differences(r), "\n"), "user.user_id")
			require.NotContains(t, strings.Join(differences(r), "\n"), "other")
		})
	}
}

func TestUnreadableSources(t *testing.T) {
	g := load(t)
	dir := t.TempDir()
	_, err := refresh.Read(dir, g)
	require.ErrorContains(t, err, "says nothing about events")
	_, err = refresh.Read(dir+"/none", g)
	require.ErrorIs(t, err, os.ErrNotExist)

	write(t, dir, "a.md", "```\n// users.a.B\n{\"properties\": [[\n```\n```\n// users.a.C\n{\"properties\":{\"x\":\"(sometimes, string) y\",\"z\":\"(required, blob) y\",\"ok\":\"(required, string) y\"}}\n```")
	write(t, dir, "b.json", `{"event_type": "users.a.D", `)
	write(t, dir, "c.avro", "Obj")
	s := read(t, g, dir)
	r := refresh.Compare(g, s)
	require.False(t, r.Same)
	var places []string
	for _, n := range r.Unread {
		places = append(places, strings.TrimSpace(n.Source+" "+n.Field))
	}
	require.Equal(t, []string{"a.md:2", "a.md:6 properties.x", "a.md:6 properties.z", "b.json", "c.avro"}, places)
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

// A page of Braze's documentation has an event type that the glossary does not
// have; the refreshed glossary has it.
func Example() {
	dir := must(os.MkdirTemp("", "braze-docs"))
	defer os.RemoveAll(dir)
	page := "{% tab Custom HTTP Connector %}\n```json\n// users.messages.fax.Send\n" + `{
  "user": {"user_id": "(required, string) [PII] Braze's id of the user"},
  "properties": {"pages": "(optional, int) How many"}
}` + "\n```\n{% endtab %}\n"
	if err := os.WriteFile(filepath.Join(dir, "fax.md"), []byte(page), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	g := must(schemas.Load())
	sources := must(refresh.Read(dir, g))
	report := refresh.Compare(g, sources)
	fmt.Println("the same:", report.Same, report.Files[refresh.Page] == 1, report.Files[refresh.Sample]+report.Files[refresh.Avro])
	for _, d := range report.Differences {
		fmt.Println(d.Change == refresh.TypeAdded, d.EventType, d.After, d.Source)
	}
	next, report, err := refresh.Refresh(g, sources, refresh.Options{SchemaVersion: 13, Date: "2026-12-02"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(next.Version(), "undecided:", len(report.Undecided))
	if err := report.WriteText(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// the same: false true 0
	// true users.messages.fax.Send 2 fields fax.md:3
	// schema version 13 (2026-12-02), 103 current event types undecided: 0
	// type added       users.messages.fax.Send: 2 fields  (fax.md:3)
	// 1 difference from schema version 12 (2026-09-02), 102 current event types; 1 event type in 1 page, 0 samples, 0 Avro files
}

// must is for examples: a program handles the error.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
