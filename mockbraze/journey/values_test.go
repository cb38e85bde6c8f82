package journey

import (
	"encoding/json"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	_ "time/tzdata" // so that zones are known on every machine

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockbraze/population"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// patterns keeps compiled patterns.
var patterns sync.Map

// looks says whether a string is written as a format of the glossary says.
func looks(format, s string) bool {
	match := func(pattern string) bool {
		p, ok := patterns.Load(pattern)
		if !ok {
			p, _ = patterns.LoadOrStore(pattern, regexp.MustCompile(pattern))
		}
		return p.(*regexp.Regexp).MatchString(s)
	}
	switch {
	case strings.HasPrefix(format, "uuid or"):
		return match(`^[0-9a-fA-F-]{16,36}$`)
	case format == "uuid":
		return match(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	case strings.HasPrefix(format, "24 hex digits or 32"):
		return match(`^([0-9a-f]{24}|[0-9a-f]{32})$`)
	case strings.HasPrefix(format, "24 "):
		return match(`^[0-9a-f]{24}$`)
	case format == "E.164":
		return match(`^\+[1-9][0-9]{6,14}$`)
	case format == "ISO 4217":
		return match(`^[A-Z]{3}$`)
	case format == "IANA time zone":
		_, err := time.LoadLocation(s)
		return err == nil && strings.Contains(s, "/")
	case format == "ISO 8601 date":
		_, err := time.Parse(time.DateOnly, s)
		return err == nil
	case format == "email":
		a, err := mail.ParseAddress(s)
		return err == nil && a.Address == s
	case format == "domain":
		return match(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)
	case format == "url":
		u, err := url.Parse(s)
		return err == nil && u.Scheme == "https" && u.Host != ""
	case format == "IPv4":
		a, err := netip.ParseAddr(s)
		return err == nil && a.Is4()
	case strings.HasPrefix(format, "JSON object"):
		var object map[string]any
		return json.Unmarshal([]byte(s), &object) == nil
	case strings.HasPrefix(format, "the customer's"):
		return strings.TrimSpace(s) != ""
	default:
		return false
	}
}

func TestValuesLookRight(t *testing.T) {
	g := glossary(t)
	r := rounds(t, 11)
	formats := make(map[string]bool)
	check := func(e event, f *schemas.Field, v any) {
		if v == nil {
			return
		}
		at := e.Type + " " + f.Name
		if f.Format != "" {
			text, ok := v.(string)
			require.True(t, ok && looks(f.Format, text), "%s is no %s: %v", at, f.Format, v)
			formats[f.Format] = true
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
	for i := range uint64(102 * 50) {
		e := decode(t, r.Append(nil, i))
		require.True(t, looks("uuid", e.ID), e.ID)
		require.InDelta(t, float64(Reference().Unix()), e.Time, 3*86400)
		typ, _ := g.Event(e.Type)
		for j := range typ.User {
			check(e, &typ.User[j], e.User[typ.User[j].Name])
		}
		for j := range typ.Properties {
			check(e, &typ.Properties[j], e.Properties[typ.Properties[j].Name])
		}
	}
	require.Greater(t, len(formats), 10, "formats that occurred: %v", formats)
}

func TestFieldsOfOneEventAgree(t *testing.T) {
	r := rounds(t, 2)
	optedIn, campaigns, canvases := 0, 0, 0
	for i := range uint64(102 * 100) {
		e := decode(t, r.Append(nil, i))
		p := e.Properties
		if p["campaign_id"] != nil {
			campaigns++
			require.NotContains(t, p, "canvas_id", "%v", e)
		}
		if p["canvas_id"] != nil {
			canvases++
			require.NotContains(t, p, "campaign_id", "%v", e)
		}
		if p["ios_push_token_apns_gateway"] != nil && p["platform"] != nil {
			require.Equal(t, "ios", p["platform"])
		}
		if p["web_push_token_user_auth"] != nil && p["platform"] != nil {
			require.Equal(t, "web", p["platform"])
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
	require.Greater(t, campaigns, 300)
	require.Greater(t, canvases, 300)
}

// TestEveryFieldHasValuesOfItsOwn keeps fields from falling back to what their
// format says, unless the glossary names their values.
func TestEveryFieldHasValuesOfItsOwn(t *testing.T) {
	values := valueFuncs()
	for _, typ := range glossary(t).Events {
		for _, f := range slices.Concat(typ.User, typ.Properties) {
			_, byType := values[typ.Name+"/"+f.Name]
			_, byKind := values[f.Name+":"+f.Type]
			_, byName := values[f.Name]
			require.True(t, byType || byKind || byName, "%s.%s", typ.Name, f.Name)
		}
	}
}

// TestANewFieldIsWritten adds an event type that nothing here knows.
func TestANewFieldIsWritten(t *testing.T) {
	fields := []schemas.Field{
		{Name: "n_uuid", Type: "string", Format: "uuid", Required: true},
		{Name: "n_bson", Type: "string", Format: "24 hex digits", Required: true},
		{Name: "n_mail", Type: "string", Format: "email", Required: true},
		{Name: "n_phone", Type: "string", Format: "E.164", Required: true},
		{Name: "n_domain", Type: "string", Format: "domain", Required: true},
		{Name: "n_url", Type: "string", Format: "url", Required: true},
		{Name: "n_ip", Type: "string", Format: "IPv4", Required: true},
		{Name: "n_day", Type: "string", Format: "ISO 8601 date", Required: true},
		{Name: "n_json", Type: "string", Format: "JSON object, as a string", Required: true},
		{Name: "n_enum", Type: "string", Enum: []string{"a", "b"}, Required: true},
		{Name: "n_example", Type: "string", Examples: []string{"x \"y\""}, Required: true},
		{Name: "n_text", Type: "string", Required: true},
		{Name: "n_int", Type: "integer", Required: true},
		{Name: "n_seconds", Type: "integer", Unit: "seconds since the epoch", Required: true},
		{Name: "n_millis", Type: "integer", Unit: "milliseconds since the epoch", Required: true},
		{Name: "n_number", Type: "number", Required: true},
		{Name: "n_bool", Type: "boolean", Required: true},
		{Name: "n_object", Type: "object", Required: true},
		{Name: "n_list", Type: "array<string>", Required: true},
	}
	typ := compile(&schemas.EventType{Name: "users.messages.smoke.Signal", Properties: fields}, valueFuncs(), fitting())
	r := rounds(t, 1)
	for k := range uint64(30) {
		e := decode(t, r.append(nil, &typ, k, showSome))
		require.Len(t, e.Properties, len(fields))
		for _, f := range fields {
			v := e.Properties[f.Name]
			switch f.Type {
			case "string":
				require.IsType(t, "", v)
				require.True(t, f.Format == "" || looks(f.Format, v.(string)), "%s: %v", f.Name, v)
			case "integer", "number":
				require.IsType(t, 1.5, v)
			case "boolean":
				require.IsType(t, true, v)
			case "object":
				require.IsType(t, map[string]any{}, v)
			default:
				require.IsType(t, []any{}, v)
			}
		}
		require.Contains(t, []any{"a", "b"}, e.Properties["n_enum"])
		require.Equal(t, `x "y"`, e.Properties["n_example"])
	}
}

func TestAppendString(t *testing.T) {
	for _, s := range []string{"", "plain", `"quoted" \ back`, "line\nbreak\ttab\x00nul\x1f", "näher 東京 🎂", "\u2028"} {
		var got string
		require.NoError(t, json.Unmarshal(appendString(nil, s), &got))
		require.Equal(t, s, got)
	}
	var got string
	require.NoError(t, json.Unmarshal(appendString(nil, "a\xffb\xc3"), &got))
	require.Equal(t, "a\uFFFDb\uFFFD", got)
}

func TestAppendFixed(t *testing.T) {
	for want, in := range map[string][2]int64{
		"19.99": {1999, 2}, "20": {2000, 2}, "0.05": {5, 2}, "-0.05": {-5, 2}, "-33.8688": {-33868800, 6},
		"7": {7, 0}, "0": {0, 6}, "1.5": {15, 1}, "-128": {-128000, 3},
	} {
		require.Equal(t, want, string(appendFixed(nil, in[0], int(in[1]))))
	}
}

func TestPriceFitsTheCurrency(t *testing.T) {
	r := rounds(t, 1, "users.behaviors.Purchase")
	currencies := make(map[any]bool)
	for i := range uint64(2000) {
		p := decode(t, r.Append(nil, i)).Properties
		currencies[p["currency"]] = true
		require.Positive(t, p["price"])
		if c := p["currency"]; c == "JPY" || c == "KRW" {
			price, _ := p["price"].(float64)
			require.Equal(t, price, float64(int(price)), "%v has no hundredths", c)
		}
	}
	require.Greater(t, len(currencies), 10)
}

func TestPlatformsFitTheType(t *testing.T) {
	r := rounds(t, 1)
	apps := make(map[any]population.Platform)
	p := population.New(population.Config{Seed: 1})
	for _, platform := range []population.Platform{population.IOS, population.Android, population.Kindle, population.Web, population.TVOS, population.Roku} {
		apps[p.App(platform).ID] = platform
	}
	for i := range uint64(102 * 100) {
		e := decode(t, r.Append(nil, i))
		app, ok := e.Properties["app_id"]
		if !ok || app == nil {
			continue
		}
		platform, known := apps[app]
		require.True(t, known)
		switch {
		case strings.Contains(e.Type, "liveactivity"), strings.Contains(e.Type, "IosForeground"):
			require.Equal(t, population.IOS, platform, e.Type)
		case strings.HasSuffix(e.Type, "Uninstall"):
			require.Contains(t, []population.Platform{population.IOS, population.Android}, platform)
		}
	}
}
