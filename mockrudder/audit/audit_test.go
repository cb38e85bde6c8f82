package audit_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/mockrudder/audit"
	"github.com/currentsbridge/currentsbridge/mockrudder/check"
)

func audited(t *testing.T, text string) audit.Report {
	a := audit.New()
	require.NoError(t, a.Stream("f", strings.NewReader(text)))
	r := a.Report()
	e := r.Events
	require.Equal(t, e.Total, e.Unchanged+e.Changed+e.Dropped+e.Refused+e.RefusedBeside)
	return r
}

// event is an event with these properties that is good otherwise.
func event(properties string) string {
	return `{"event_type":"t","id":"1","time":1700000000,"user":{"user_id":"u","external_user_id":"e"},"properties":` + properties + `}`
}

func TestFieldByField(t *testing.T) {
	for _, c := range []struct {
		name, event   string
		what          audit.What
		property      string
		before, after string
	}{
		{"dots", event(`{"a.b":1}`), audit.Moved, "properties.a.b", "1", `{"a":{"b":1}}`},
		{"dots with a neighbour", event(`{"a.b":1,"a":2}`), audit.Lost, "properties.a.b", "1", ""},
		{"slash", event(`{"a/b":1}`), audit.Moved, "properties.a/b", "1", "1"},
		{"whole number", event(`{"c":2,"1":"x"}`), audit.Moved, "properties.1", `"x"`, `[null,"x"]`},
		{"wiped by a whole number", event(`{"c":2,"1":"x"}`), audit.Lost, "properties.c", "2", `[null,"x"]`},
		{"backslash", event(`{"a\\b":1}`), audit.Moved, `properties.a\b`, "1", "1"},
		{"rounded", event(`{"n":9007199254740993}`), audit.Rounded, "properties.n", "9007199254740993", "9007199254740992"},
		{"rounded inside", event(`{"custom_properties":{"n":9007199254740993}}`), audit.Rounded, "properties.custom_properties",
			`{"n":9007199254740993}`, `{"n":9007199254740992}`},
		{"unknown user field", `{"event_type":"t","id":"1","user":{"user_id":"u","locale":"de"}}`, audit.Lost, "user.locale", `"de"`, ""},
		{"unknown field", `{"event_type":"t","id":"1","user":{"user_id":"u"},"extra":1}`, audit.Lost, "extra", "1", ""},
		{"time that is none", `{"event_type":"t","id":"1","time":"soon","user":{"user_id":"u"}}`, audit.Changed, "time", `"soon"`, `"Invalid date"`},
		{"time 0", `{"event_type":"t","id":"1","time":0,"user":{"user_id":"u"}}`, audit.Lost, "time", "0", ""},
		{"no identity", `{"event_type":"t","id":"1","user":{}}`, audit.Dropped, "user", "", ""},
		{"no type", `{"id":"1","user":{"user_id":"u"}}`, audit.Dropped, "event_type", "", ""},
		{"no object", `7`, audit.Dropped, "", "", ""},
		{"unsafe key", event(`{"constructor":1}`), audit.Dropped, "properties.constructor", "", ""},
		{"blank id", `{"event_type":"t","id":"1","user":{"user_id":" "}}`, audit.Refused, "", "", ""},
		{"NUL", event(`{"a":"\u0000"}`), audit.Refused, "", "", ""},
		{"an inherited name as type", `{"event_type":"toString","id":"1","user":{"user_id":"u"}}`, audit.Lost, "event_type", `"toString"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := audited(t, `{"events":[`+c.event+`,`+event(`{}`)+`]}`)
			i := 0
			for i < len(r.Findings) && r.Findings[i].Property != c.property {
				i++
			}
			require.Less(t, i, len(r.Findings), "%+v", r.Findings)
			f := r.Findings[i]
			require.Equal(t, c.what, f.What)
			require.Equal(t, 1, f.Events)
			require.Equal(t, c.before, f.Example.Before)
			require.Equal(t, c.after, f.Example.After)
			require.NotEmpty(t, f.Detail)
		})
	}
}

func TestWhatIsFineIsNotReported(t *testing.T) {
	r := audited(t, event(`{"a":1.10,"b":"x","c":null,"platform":"ios","ad_id":null,"n":1e3,"d":{"e.f":[1,{"g":2.50}]}}`))
	require.Empty(t, r.Findings)
	require.True(t, r.Harmless())
	require.Equal(t, 1, r.Events.Unchanged)
}

// No property name of the glossary is changed.
func TestTheGlossaryIsFine(t *testing.T) {
	a := audit.New()
	files, err := filepath.Glob("../../fixtures/events/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		require.NoError(t, a.Stream(file, strings.NewReader(casefile.Text(t, file))))
	}
	for _, f := range a.Report().Findings {
		require.Equal(t, audit.Dropped, f.What, "%+v", f) // tool calls have no user
	}
}

func TestOneBadEventRefusesTheOthers(t *testing.T) {
	good := make([]string, 99)
	for i := range good {
		good[i] = event(`{}`)
	}
	r := audited(t, `{"events":[`+strings.Join(good, ",")+`,`+event(`{"a":"\u0000"}`)+`]}`)
	require.Equal(t, 1, r.Requests.Refused)
	require.Equal(t, 99, r.Events.RefusedBeside)
	require.Equal(t, 1, r.Events.Refused)
	require.Len(t, r.Findings, 1)
	require.Contains(t, r.Findings[0].Detail, "400 invalid json")
}

func TestRequestsThatAreTooLarge(t *testing.T) {
	big := event(`{"a":"` + strings.Repeat("x", 900_000) + `"}`)
	r := audited(t, `{"events":[`+strings.Repeat(big+",", 4)+big+`]} {"events":[`+big+`]}`)
	require.Equal(t, 2, r.Requests.Total)
	require.Equal(t, 1, r.Requests.Refused)
	require.Equal(t, 5, r.Events.RefusedBeside)
	require.Equal(t, 1, r.Events.Unchanged)
	require.Contains(t, r.Findings[0].Detail, "413")
}

func TestRequestsWithNothingLeftAreRefused(t *testing.T) {
	r := audited(t, `{"events":[7,8]}`)
	require.Equal(t, 1, r.Requests.Refused)
	require.Equal(t, 2, r.Events.Refused)
	require.Contains(t, r.Findings[0].Detail, "All requests in the batch failed")
}

func TestFindingsAreGrouped(t *testing.T) {
	var text strings.Builder
	for i := range 50 {
		fmt.Fprintf(&text, "{\"events\":[%s]}\n", event(fmt.Sprintf(`{"a.b":%d}`, i)))
	}
	r := audited(t, text.String())
	require.Len(t, r.Findings, 1)
	require.Equal(t, 50, r.Findings[0].Events)
	require.Equal(t, 1, r.Findings[0].Example.Line)
	var out strings.Builder
	require.NoError(t, r.WriteText(&out))
	require.Contains(t, out.String(), "properties.a.b")
	require.Contains(t, out.String(), "50 requests, 0 of them refused; 50 events: 0 unchanged, 50 changed")
}

// Malformed JSON is a request that is refused, and the following lines are audited.
func TestBrokenInputIsNamed(t *testing.T) {
	good := `{"events":[` + event(`{}`) + `]}` + "\n"
	r := audited(t, good+`{"events":[`+"\n"+good+good)
	require.Equal(t, 4, r.Events.Total)
	require.Equal(t, 3, r.Events.Unchanged)
	require.Equal(t, 1, r.Events.Refused)
	require.Equal(t, 1, r.Requests.Refused)
	require.Equal(t, check.Lines{Total: 4, Read: 3}, r.Lines)
	require.Equal(t, 2, r.Findings[0].Example.Line)
	require.Contains(t, r.Findings[0].Detail, "400 Malformed JSON in request body: ")
	var out strings.Builder
	require.NoError(t, r.WriteText(&out))
	require.Contains(t, out.String(), "read 3 of 4 lines")

	a := audit.New()
	require.ErrorContains(t, a.Stream("f", strings.NewReader("")), "f: there is no JSON in it")
}

// Events that make RudderStack's transformer fail are reported without a delay.
func TestEventsThatMakeTheTransformerFail(t *testing.T) {
	for properties, want := range map[string]string{
		`{"x":` + strings.Repeat("[", 6000) + strings.Repeat("]", 6000) + `}`: "500 Maximum call stack size exceeded",
		`{"20000000":1}`: "no answer: the connection is closed",
	} {
		r := audited(t, event(properties))
		require.Equal(t, 1, r.Events.Refused)
		require.Contains(t, r.Findings[0].Detail, want)
	}
	r := audited(t, `{"id":"a","time":1700000000,"user_id":"b","external_user_id":"u"}`)
	require.Contains(t, r.Findings[0].Detail, "storage export")
}

// A record of a storage export is audited as its event.
func TestStorageExport(t *testing.T) {
	a := audit.New()
	a.AsType = "users.messages.email.Open"
	require.NoError(t, a.Stream("f", strings.NewReader(`{"id":"a","time":1700000000,"user_id":"b","external_user_id":"u","campaign_id":"c"}`)))
	r := a.Report()
	require.Equal(t, 1, r.Events.Total)
	require.Zero(t, r.Events.Dropped+r.Events.Refused)
	var out strings.Builder
	require.NoError(t, r.WriteText(&out))
	require.Contains(t, out.String(), "; 1 taken for records of a storage export (JSON)")
}

func Example() {
	auditor := audit.New()
	recorded := `{"events":[{"event_type":"users.behaviors.CustomEvent","id":"1","time":1700000000,` +
		`"user":{"external_user_id":"u"},"properties":{"plan.name":"pro"}}]}`
	if err := auditor.Stream("recorded.ndjson", strings.NewReader(recorded)); err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range auditor.Report().Findings {
		fmt.Println(f.EventType, f.Property, f.What, f.Example.Before, "→", f.Example.After)
	}
	// Output: users.behaviors.CustomEvent properties.plan.name moved "pro" → {"plan":{"name":"pro"}}
}
