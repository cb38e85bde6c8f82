package journey

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	_ "time/tzdata" // so that zones are known on every machine

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/journey/journeytest"
	"github.com/currentsbridge/currentsbridge/internal/journey/plot"
	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// rounds makes those of the retired types, too.
func rounds(t testing.TB, seed uint64, types ...string) *Rounds {
	r, err := New(Config{Glossary: journeytest.Glossary(t), Seed: seed, Types: types, Retired: true})
	require.NoError(t, err)
	return r
}

// decoded are the first n events, with the fields of the user among the properties too:
// no type has a field in both.
func decoded(t *testing.T, r *Rounds, n int) iter.Seq[journeytest.Event] {
	return func(yield func(journeytest.Event) bool) {
		for i := range uint64(n) {
			e := journeytest.Decode(t, r.Append(nil, i))
			maps.Copy(e.Properties, e.User)
			if !yield(e) {
				return
			}
		}
	}
}

// TestAnyTenInARowShowEveryField also looks whether optional fields come and go.
func TestAnyTenInARowShowEveryField(t *testing.T) {
	g := journeytest.Glossary(t)
	last, count := make(map[string]int), make(map[string]int) // the last event of its type that shows a field
	fits, missing, null, shown := fitting(), 0, 0, 0
	for e := range decoded(t, rounds(t, 1), 40*len(g.Events)) {
		count[e.Type]++
		typ, _ := g.Event(e.Type)
		for _, f := range slices.Concat(typ.User, typ.Properties) {
			at := e.Type + " " + f.Name
			v, ok := e.Properties[f.Name]
			switch {
			case v != nil:
				last[at] = count[e.Type]
				shown++
			case fits[f.Name] != nil: // may go with few moments
			case !ok:
				missing++
			default:
				null++
			}
			require.Less(t, count[e.Type]-last[at], 10, "%s is in none of ten events", at)
		}
	}
	require.Positive(t, null)
	require.Greater(t, missing, shown/20)
	require.Greater(t, shown, 6*missing)
}

func TestSameBytesWhateverTheConcurrency(t *testing.T) {
	const n = 4800
	digest := func(workers int) string {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(workers))
		r := rounds(t, 42)
		events := make([][]byte, n)
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := n - 1 - w; i >= 0; i -= workers {
					events[i] = r.Append(nil, uint64(i))
				}
			})
		}
		wg.Wait()
		sum := sha256.New()
		for _, e := range events {
			sum.Write(append(e, '\n'))
		}
		return fmt.Sprintf("%x", sum.Sum(nil))
	}
	one := digest(1)
	require.Equal(t, one, digest(4))
	require.Equal(t, one, digest(16))
	// Written down so that another machine or day is held against this one.
	require.Equal(t, goldenDigest, one, "the events of a seed have changed")
}

func TestSelectionGivesTheSameEvents(t *testing.T) {
	all, some := rounds(t, 3), rounds(t, 3, "users.messages.email.*")
	next := uint64(0)
	for i := range uint64(len(all.Types()) * 5) {
		if strings.HasPrefix(all.Type(i), "users.messages.email.") {
			require.Equal(t, all.Type(i), some.Type(next))
			require.Equal(t, string(all.Append(nil, i)), string(some.Append(nil, next)))
			next++
		}
	}
	require.EqualValues(t, len(some.Types())*5, next)
}

// TestThingsAgree follows what belongs together over many events.
func TestThingsAgree(t *testing.T) {
	// A small workspace, so that its people come up again.
	r, err := New(Config{Glossary: journeytest.Glossary(t), Population: population.New(population.Config{Seed: 1, Users: 40})})
	require.NoError(t, err)
	pairs := []struct{ key, value string }{
		{"user_id", "external_user_id"}, {"user_id", "device_id"}, {"user_id", "timezone"},
		{"user_id", "email_address"}, {"user_id", "to_phone_number"}, {"user_id", "platform"},
		{"user_id", "device_model"}, {"user_id", "push_token"}, {"user_id", "gender"},
		{"campaign_id", "campaign_name"}, {"message_variation_id", "message_variation_name"},
		{"canvas_id", "canvas_name"}, {"canvas_step_id", "canvas_step_name"},
		{"canvas_variation_id", "canvas_variation_name"}, {"canvas_step_id", "canvas_id"},
		{"dispatch_id", "message_source"}, {"send_id", "message_source"},
		{"agent_id", "agent_name"}, {"endpoint_url", "host"}, {"app_id", "platform"},
		{"platform", "ad_id_type"}, {"session_id", "user_id"}, {"canvas_entry_id", "user_id"},
	}
	known := make(map[string]any)
	met := make(map[string]int)
	for e := range decoded(t, r, 102*60) {
		if source, ok := e.Properties["campaign_id"]; ok && source != nil {
			e.Properties["message_source"] = source
		} else {
			e.Properties["message_source"] = e.Properties["canvas_step_id"]
		}
		for _, p := range pairs {
			a, b := e.Properties[p.key], e.Properties[p.value]
			if a == nil || b == nil {
				continue
			}
			at := p.key + "→" + p.value + " " + fmt.Sprint(a)
			if before, ok := known[at]; ok {
				met[p.key+"→"+p.value]++
				if before != b {
					t.Fatalf("%s was %v before %v", at, before, e)
				}
			}
			known[at] = b
		}
	}
	for _, p := range pairs {
		require.NotZero(t, met[p.key+"→"+p.value], "%v was never seen twice", p)
	}
}

func TestSelect(t *testing.T) {
	g := journeytest.Glossary(t)
	const open, click, cards = "users.messages.email.Open", "users.messages.newsfeedcard.Click", "users.messages.newsfeedcard.*"
	for _, tt := range []struct {
		patterns    []string
		retired     bool
		n           int
		first, last string
	}{
		{[]string{open, "users.canvas.*", "users.messages.email.O*"}, false, 11, "users.canvas.Conversion", open},
		{nil, false, 102, g.Current()[0], g.Current()[101]},
		{[]string{"*"}, false, 102, g.Current()[0], g.Current()[101]},
		{[]string{cards}, true, 3, "users.messages.newsfeedcard.Abort", "users.messages.newsfeedcard.Impression"},
		{[]string{click}, false, 1, click, click}, // a retired type that is named whole
	} {
		names, err := Select(g, tt.patterns, tt.retired)
		require.NoError(t, err)
		require.Len(t, names, tt.n, "%v", tt.patterns)
		require.Equal(t, []string{tt.first, tt.last}, []string{names[0], names[len(names)-1]})
	}
	for _, pattern := range []string{cards, "users.nothing.*", "[x"} {
		_, err := Select(g, []string{pattern}, false)
		require.ErrorContains(t, err, `"`+pattern+`"`)
	}
}

const goldenDigest = "0c4e745bf1ea0d63dbc3e15807e50c05556e5bd673fe160dfdc8f74304d078f8"

// looks says whether a text has a format of the glossary.
func looks(t *testing.T) func(format, s string) bool {
	rows := casefile.Read(t, "testdata/formats.txt", 2)
	forms := make(map[string]*regexp.Regexp)
	for _, row := range rows {
		forms[row[0]] = regexp.MustCompile(row[1])
	}
	return func(format, s string) bool {
		if kind, ok := strings.CutPrefix(format, "JSON"); ok {
			return json.Valid([]byte(s)) && (s[0] == '{' || !strings.HasPrefix(kind, " object"))
		}
		if format == "IANA time zone" {
			_, err := time.LoadLocation(s)
			return err == nil && strings.Contains(s, "/")
		}
		i := slices.IndexFunc(rows, func(row []string) bool { return strings.HasPrefix(format, row[0]) })
		return i >= 0 && forms[rows[i][0]].MatchString(s)
	}
}

// TestValuesLookRight holds values against the glossary, and those whose form it does
// not tell against Braze's documentation.
func TestValuesLookRight(t *testing.T) {
	g, seen, looks := journeytest.Glossary(t), make(map[string]bool), looks(t)
	forms, formed := casefile.Read(t, "testdata/forms.txt", 2), make(map[string]bool)
	check := func(e journeytest.Event, f *schemas.Field, v any) {
		if v == nil {
			return
		}
		at := e.Type + " " + f.Name
		if f.Format != "" {
			text, ok := v.(string)
			if !ok || !looks(f.Format, text) {
				t.Fatalf("%s is no %s: %v", at, f.Format, v)
			}
			seen[f.Format] = true
		}
		if len(f.Enum) > 0 {
			require.Contains(t, f.Enum, v, at)
		}
		switch {
		case f.Name == "abort_log":
			require.LessOrEqual(t, len(v.(string)), 128)
		case f.Name == "machine_open":
			require.Equal(t, "true", v)
		case strings.HasPrefix(f.Unit, "seconds since"):
			require.Less(t, v, 2e9, at)
		case strings.HasPrefix(f.Unit, "milliseconds since"):
			require.InDelta(t, float64(e.Time)*1000, v, 1000, at)
		case f.Unit == "degrees":
			require.Less(t, v, 180.1)
			require.Greater(t, v, -180.1)
		}
	}
	for e := range decoded(t, rounds(t, 11), 102*50) {
		require.True(t, looks("uuid", e.ID), e.ID)
		require.InDelta(t, float64(Reference().Unix()), e.Time, 3*86400)
		typ, _ := g.Event(e.Type)
		for _, f := range slices.Concat(typ.User, typ.Properties) {
			check(e, &f, e.Properties[f.Name])
		}
		for _, form := range forms {
			if text := e.Text(form[0]); text != "" {
				require.Regexp(t, form[1], text, "%s %s", e.Type, form[0])
				formed[form[0]] = true
			}
		}
		answers := 0
		for name := range e.Properties {
			if strings.HasPrefix(name, "answer_") && name != "answer_type" {
				answers++
			}
		}
		require.Equal(t, e.Type == plot.Messages+"survey.Response", answers == 1, "%v", e)
	}
	require.Len(t, formed, len(forms))
	require.Greater(t, len(seen), 10, "formats that occurred: %v", seen)
}

func TestAbortsSayWhyAsTheirChannelMay(t *testing.T) {
	r, seen := rounds(t, 5, "*.Abort"), make(map[string]map[string]bool)
	for e := range decoded(t, r, len(r.Types())*400) {
		channel, why := strings.Split(e.Type, ".")[2], e.Text("abort_type")
		if seen[channel] == nil {
			seen[channel] = make(map[string]bool)
		}
		seen[channel][why] = true
		if log := e.Text("abort_log"); why == "frequency_capped" && log != "" {
			require.Regexp(t, `^Frequency cap rule: 5 [a-z_ A-Z]+ messages every 1 week$`, log, e.Type)
		}
		if e.Properties["message_extras"] != nil && why != "" {
			require.NotContains(t, []string{"user_not_in_segment", "rate_limit", "frequency_capped", "campaign_disabled"}, why, "its tag did not run")
		}
		require.Regexp(t, `^[a-z_]*$`, why)
		require.NotContains(t, why, "quiet")
	}
	sizes := make(map[string]int)
	for channel, words := range seen {
		delete(words, "")
		sizes[channel] = len(words)
	}
	require.Equal(t, map[string]int{
		"email": 25, "pushnotification": 20, "inappmessage": 20, "contentcard": 22, "banner": 18, "webhook": 23, "sms": 23, "whatsapp": 19,
		"line": 16, "rcs": 11, "newsfeedcard": 11,
	}, sizes)
	require.True(t, seen["sms"]["mms_not_supported"] && seen["email"]["missing_email"] && !seen["email"]["mms_not_supported"])
}

func TestFieldsOfOneEventAgree(t *testing.T) {
	optedIn, anonymous, sources := 0, 0, make(map[string]int)
	currencies, apps := make(map[any]bool), make(map[any]population.Platform)
	for _, platform := range population.Platforms() {
		apps[population.New(population.Config{Seed: 2}).UserOn(0, platform, false).App.ID] = platform
	}
	for e := range decoded(t, rounds(t, 2), 102*100) {
		p := e.Properties
		switch {
		case e.Type == "agentconsole.ToolInvocation" || e.Type == "contentoptimizer.ComponentStore":
			require.NotContains(t, e.User, "user_id")
		case e.Text("external_user_id") == "":
			require.NotEmpty(t, e.Text("user_id"), "nobody: %v", e)
			anonymous++
		}
		if app := p["app_id"]; app != nil {
			require.Contains(t, apps, app)
			if strings.Contains(e.Type, "liveactivity") || strings.Contains(e.Type, "IosForeground") {
				require.Equal(t, population.IOS, apps[app], e.Type)
			}
			if strings.HasSuffix(e.Type, "Uninstall") {
				require.Contains(t, []population.Platform{population.IOS, population.Android}, apps[app])
			}
		}
		if c := p["currency"]; c != nil {
			currencies[c] = true
			price, _ := p["price"].(float64)
			require.Positive(t, price)
			require.True(t, c != "JPY" && c != "KRW" || price == float64(int(price)), "%v has no hundredths", c)
		}
		for own, other := range map[string]string{"campaign_id": "canvas_id", "canvas_id": "campaign_id"} {
			if p[own] != nil {
				sources[own]++
				require.NotContains(t, p, other, "%v", e)
			}
		}
		for field, platform := range map[string]string{"ios_push_token_apns_gateway": "ios", "web_push_token_user_auth": "web"} {
			if p[field] != nil && p["platform"] != nil {
				require.Equal(t, platform, p["platform"])
			}
		}
		if p["suspected_bot_click_reason"] != nil && p["is_suspected_bot_click"] != nil {
			require.Equal(t, true, p["is_suspected_bot_click"])
		}
		if p["is_error"] == true && e.Type == "agentconsole.AgentExecuted" {
			require.NotContains(t, p, "output")
		}
		if total, ok := p["total_tokens"]; ok {
			require.Equal(t, p["prompt_tokens"].(float64)+p["completion_tokens"].(float64), total)
		}
		if p["subscription_status"] == "Opted In" {
			optedIn++
			require.Equal(t, "users.behaviors.subscription.GlobalStateChange", e.Type, "only the global state is opted in")
		}
	}
	require.Positive(t, optedIn)
	require.Greater(t, len(currencies), 10)
	require.InDelta(t, 1100, anonymous, 800)
	require.Greater(t, sources["campaign_id"], 300)
	require.Greater(t, sources["canvas_id"], 300)
}

// TestEveryFieldHasValuesOfItsOwn also allows values that the glossary lists, and
// formats of which there is one for a person.
func TestEveryFieldHasValuesOfItsOwn(t *testing.T) {
	values := valueFuncs()
	for _, typ := range journeytest.Glossary(t).Events {
		for _, f := range slices.Concat(typ.User, typ.Properties) {
			_, byType := values[typ.Name+"/"+f.Name]
			_, byKind := values[f.Name+":"+f.Type]
			_, byName := values[f.Name]
			described := len(f.Enum)+len(f.Examples) > 0 || slices.Contains([]string{"email", "E.164", "uuid", "ISO 8601 date"}, f.Format)
			require.True(t, byType || byKind || byName || described, "%s.%s", typ.Name, f.Name)
		}
	}
}

// TestANewFieldIsWritten adds an event type that nothing here knows.
func TestANewFieldIsWritten(t *testing.T) {
	fields := []schemas.Field{
		{Type: "string", Enum: []string{"a", "b"}}, {Type: "string", Examples: []string{"b", "a"}}, {Type: "string"},
		{Type: "integer"}, {Type: "integer", Unit: "seconds since the epoch"}, {Type: "integer", Unit: "milliseconds since the epoch"},
		{Type: "number"}, {Type: "boolean"}, {Type: "object"}, {Type: "array<string>"},
	}
	for _, format := range []string{"uuid", "24 hex digits", "email", "E.164", "domain", "url", "IPv4", "ISO 8601 date", "JSON object, as a string"} {
		fields = append(fields, schemas.Field{Type: "string", Format: format})
	}
	for i := range fields {
		fields[i].Name, fields[i].Required = fmt.Sprint("n_", i), true
	}
	kinds := map[string]any{
		"string": "", "integer": 1.5, "number": 1.5, "boolean": true, "object": map[string]any{}, "array<string>": []any{},
	}
	typ := compile(&schemas.EventType{Name: "users.messages.smoke.Signal", Properties: fields}, valueFuncs(), fitting())
	r, looks := rounds(t, 1), looks(t)
	for k := range uint64(30) {
		e := journeytest.Decode(t, r.append(nil, &typ, k, showSome, nil, 0))
		require.Len(t, e.Properties, len(fields))
		for _, f := range fields {
			v := e.Properties[f.Name]
			require.IsType(t, kinds[f.Type], v)
			require.True(t, f.Format == "" || looks(f.Format, v.(string)), "%s: %v", f.Name, v)
			if len(f.Enum)+len(f.Examples) > 0 {
				require.Contains(t, []any{"a", "b"}, v)
			}
		}
	}
}

func TestStrangeAndHugeObjects(t *testing.T) {
	value := roughly(&scenario.Rough{Strange: scenario.Whole, Huge: 20_000}, valueFuncs()["custom_properties"], true)
	m := &moment{pop: population.New(population.Config{Seed: 1}), StoryEvent: StoryEvent{Time: Reference().Unix()}}
	m.User = m.pop.User(1)
	huge, all := 0, new(strings.Builder)
	for i := range uint64(600) {
		raw := value(nil, m, population.Draw(i).With(1))
		require.True(t, json.Valid(raw))
		require.LessOrEqual(t, len(raw), 899_000, "Braze never sends an event of more than 900 KB")
		if len(raw) > 700_000 {
			huge++
			continue
		}
		all.Write(raw)
	}
	require.Positive(t, huge)
	for _, member := range unusualMembers() {
		require.True(t, json.Valid([]byte("{"+member+"}")), member)
		require.Contains(t, all.String(), member)
	}
}
