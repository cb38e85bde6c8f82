package config

import (
	"flag"
	"math/rand"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

// alterEach gives each setting in v another value, calls check with its key, and
// gives it back the one that it had. It returns how many there are.
func alterEach(v reflect.Value, check func(key string)) int {
	all, random := leaves(v), rand.New(rand.NewSource(1))
	for _, l := range all {
		was := reflect.New(l.value.Type()).Elem()
		was.Set(l.value)
		for reflect.DeepEqual(was.Interface(), l.value.Interface()) {
			other, ok := quick.Value(l.value.Type(), random)
			if !ok {
				panic("no value of " + l.path)
			}
			l.value.Set(other)
		}
		check(l.path)
		l.value.Set(was)
	}
	return len(all)
}

// Each setting that differs is named once when it is reloaded, and nothing else.
func TestEverySettingIsCompared(t *testing.T) {
	cfg, connector := Default(), DefaultConnector()
	count := alterEach(reflect.ValueOf(&cfg).Elem(), func(key string) {
		changed := Changes(Default(), cfg)
		require.Len(t, changed, 1, key)
		require.Equal(t, key, changed[0].Key)
		require.Contains(t, []Effect{Restart, Reload}, changed[0].Effect, key)
	})
	count += alterEach(reflect.ValueOf(&connector).Elem(), func(key string) {
		changed := DefaultConnector().Changes(connector)
		if key == "token" {
			key = "tokens"
		}
		if key == "name" {
			require.Empty(t, changed)
			return
		}
		require.Len(t, changed, 1, key)
		require.Equal(t, strings.TrimSuffix(key, ".*"), changed[0].Key)
	})
	require.Greater(t, count, 50)
	next := Default()
	next.Retain.Age, next.TLS.Cert, next.AdminToken, next.Connectors = 0, "x", "t", []Connector{connector}
	require.Equal(t, []Change{{"tls.cert", Restart}, {"admin_token", Reload}, {"retain.age", Restart}}, Changes(Default(), next))
}

// What the tags say can be read: each default is within its bounds, each word,
// bound and help is there, and no two settings share a flag.
func TestTagsAreGood(t *testing.T) {
	cfg := valid()
	require.NoError(t, cfg.Check())
	require.Equal(t, []string(nil), cfg.Warnings(), "defaults give none")
	flags := map[string]bool{}
	for _, s := range Settings() {
		require.NotEmpty(t, s.Help, s.Key)
		if s.Flag == "" {
			continue
		}
		require.False(t, flags[s.Flag], s.Flag)
		flags[s.Flag] = true
		require.Equal(t, "BRIDGE_"+strings.ToUpper(strings.ReplaceAll(s.Flag, "-", "_")), s.Env)
		require.True(t, s.Bool || s.Value != "", s.Flag)
	}
	for _, flag := range []string{"listen", "queue", "queue-password-file", "retain-age", "braze-token", "braze-token-file", "rudder-url",
		"glossary", "give-up-after", "pii", "pii-unknown", "names", "filter-deny", "open"} {
		require.True(t, flags[flag], flag)
	}
	for _, flag := range []string{"name", "tokens", "braze-tokens", "names-TYPE", "pii-fields", "queue-url"} {
		require.False(t, flags[flag], flag)
	}
}

func valid() Config {
	cfg := Default()
	c := DefaultConnector()
	c.Tokens, c.RudderURL, c.WriteKey = []string{"secret"}, "http://r", "wk"
	cfg.Connectors = []Connector{c}
	return cfg
}

func TestShown(t *testing.T) {
	cfg := Default()
	cfg.AdminToken, cfg.Queue.Password, cfg.Retain.Age = "s3cret", "p4ssword", 24*time.Hour
	cfg.Queue.URL = "postgres://bridge@db:5432/bridge?sslpassword=k3y"
	cfg.AdminHosts = []string{"a.example.com", ".svc"}
	c := DefaultConnector()
	c.Tokens, c.WriteKey = []string{"t0ken", "t1ken"}, "wr1tekey"
	c.PII.Fields = map[string]mapping.Action{"b": "hash", "a": "drop"}
	c.Queue = &Queue{URL: SQLite, Password: "p4ssword"}
	got := asJSON(t, append(cfg.Shown(), c.Shown()...))
	for _, secret := range []string{"s3cret", "p4ssword", "k3y", "t0ken", "t1ken", "wr1tekey"} {
		require.NotContains(t, got, secret)
	}
	requireGolden(t, "shown.json", got)
	for _, s := range append(Default().Shown(), DefaultConnector().Shown()...) {
		require.True(t, s.Default, s.Key)
	}
}

var update = flag.Bool("update", false, "write the tables in docs/operations.md instead of only comparing them")

// TestSettingsAreDocumented compares the tables of settings in docs/operations.md
// with those that the tags make. With -update it writes them.
func TestSettingsAreDocumented(t *testing.T) {
	const path, end = "../../docs/operations.md", "<!-- end of the settings -->\n"
	page := casefile.Text(t, path)
	text := page
	for name, connector := range map[string]bool{"bridge": false, "connector": true} {
		begin := "<!-- settings of the " + name + ", made by make generate -->\n"
		before, rest, found := strings.Cut(text, begin)
		require.True(t, found)
		_, after, found := strings.Cut(rest, end)
		require.True(t, found)
		text = before + begin + table(connector) + end + after
	}
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return
	}
	require.Equal(t, text, page, "run make generate")
}

// table is the table of settings in docs/operations.md, in Markdown: those of
// the bridge, or those of a connector.
func table(connector bool) string {
	var b strings.Builder
	b.WriteString("| key | default | changes with | meaning |\n| --- | --- | --- | --- |\n")
	all := Settings()
	for i, s := range all {
		if s.connector != connector || i > 0 && s.same(all[i-1]) {
			continue // another key of the same setting
		}
		var keys []string
		for _, other := range all[i:] {
			if s.same(other) {
				keys = append(keys, "`"+strings.TrimPrefix(other.Key, "braze_")+"`")
			}
		}
		effect := "reload"
		if s.leaf.effect == Restart {
			effect = "restart"
		}
		cells := []string{strings.Join(keys, ", "), s.defaultText(), effect, s.meaning()}
		for j := range cells {
			cells[j] = strings.ReplaceAll(cells[j], "|", `\|`)
		}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	return b.String()
}

func (s Setting) defaultText() string {
	switch unset, zero := s.leaf.Get("unset"), s.leaf.Get("zero"); {
	case s.Default != "":
		return "`" + s.Default + "`"
	case zero != "":
		return "0, " + zero
	case unset != "":
		return quoted.ReplaceAllString(unset, "$1`$2`")
	}
	return ""
}

func (s Setting) meaning() string {
	text := quoted.ReplaceAllString(s.Help, "$1`$2`")
	if words := s.leaf.Get("oneof"); words != "" && !strings.Contains(s.Help, "'"+words[strings.LastIndexByte(words, '|')+1:]+"'") {
		text += ": `" + strings.ReplaceAll(words, "|", "`, `") + "`"
	}
	if low := s.leaf.Get("min"); low != "" {
		text += "; " + low + " to " + s.leaf.Get("max")
		if zero := s.leaf.Get("zero"); zero != "" && s.Default != "" {
			text += ", or 0: " + zero
		}
	}
	return text
}
