package config

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func writeFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "bridge.yaml")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func env(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

const everything = `# everything that can be set
listen: 0.0.0.0:8443
admin: 127.0.0.1:9191
data_dir: /var/lib/bridge
queue: {url: sqlite, max_size: 30GiB}
retain: {age: 7d, size: 20GB}
max_body: 8MiB
grace: 1m
log: {format: json, level: debug}
connectors:
  - name: brand-a
    token: ${TOKEN_A}
    rudder_url: https://a.example.com/proxy/
    write_key: wkA
    mode: webhook
    missing_external_user_id: dead
    no_identity: drop
    wrong_token: 503
    pii: {unknown: keep}
    accept_any_2xx: true
    give_up_after: 2h
    connection_max_age: 1m
    queue: postgres://bridge@db/a
    dedupe_window: 2_000_000
    concurrency: 8
    batch_events: 500
    max_body: 2MB
    timeout: 10s
    backoff: {min: 100ms, max: 5s}
  - &b
    name: brand-b
    tokens: [one, "two=="]
    rudder_url: ${URL_B:-http://127.0.0.1:8090}
    write_key: $${literal}
  - <<: *b
    name: brand-c
    tokens: ["three"]
`

func TestLoadFile(t *testing.T) {
	name := writeFile(t, everything)
	cfg, err := Load(t.Context(), Source{File: name, Env: env("TOKEN_A", "abc: {x")})
	require.ErrorContains(t, err, "connectors[0].token: has a character")
	require.Zero(t, cfg)
	cfg, err = Load(t.Context(), Source{File: name, Env: env("TOKEN_A", "abc")})
	require.NoError(t, err)

	b := DefaultConnector()
	b.Name, b.Tokens, b.RudderURL, b.WriteKey = "brand-b", []string{"one", "two=="}, "http://127.0.0.1:8090", "${literal}"
	c := b
	c.Name, c.Tokens = "brand-c", []string{"three"}
	require.Equal(t, Config{
		Listen: "0.0.0.0:8443", Admin: "127.0.0.1:9191", DataDir: "/var/lib/bridge",
		Queue:         Queue{URL: "sqlite", MaxSize: 30 << 30, AckWait: 30 * time.Second},
		AppendTimeout: 5 * time.Second,
		Retain:        Retain{Age: 7 * 24 * time.Hour, Size: 20_000_000_000}, ScrubEvery: 24 * time.Hour,
		MaxBody: 8 << 20, Grace: time.Minute,
		Log: Log{Format: "json", Level: "debug"},
		Connectors: []Connector{{
			Name: "brand-a", Tokens: []string{"abc"}, Mode: Webhook, RudderURL: "https://a.example.com/proxy/",
			WriteKey: "wkA", MissingExternalUserID: Dead, NoIdentity: Drop, WrongToken: 503, DedupeWindow: 2_000_000,
			PII: PII{Preset: "keep", Unknown: "keep"}, Names: Names{Preset: "braze"}, ProfileUpdates: "track", UserOrphan: "track",
			Concurrency: 8, BatchEvents: 500, MaxBody: 2_000_000, Gzip: "auto", AcceptAny2XX: true,
			Timeout: 10 * time.Second, Backoff: Backoff{100 * time.Millisecond, 5 * time.Second},
			GiveUpAfter: 2 * time.Hour, ConnectionMaxAge: time.Minute,
			Queue: &Queue{URL: "postgres://bridge@db/a", AckWait: 30 * time.Second},
		}, b, c},
	}, cfg)
}

func TestLoadOrder(t *testing.T) {
	file := "listen: 127.0.0.1:1\nadmin: 127.0.0.1:2\nqueue: {max_size: 1GiB}\nretain: {age: 1h}\nconnectors:\n  - {name: x, tokens: [t], rudder_url: http://file, write_key: file}\n"
	cfg, err := Load(t.Context(), Source{
		File: writeFile(t, file),
		Env: env("BRIDGE_ADMIN", "127.0.0.1:3", "BRIDGE_DATA_DIR", "env", "BRIDGE_RETAIN_SIZE", "5GiB", "BRIDGE_QUEUE", "postgresql://b@h1:5432,h2:5432/db?target_session_attrs=read-write",
			"BRIDGE_WRITE_KEY", "env", "BRIDGE_RUDDER_URL", "http://env", "BRIDGE_LISTEN", ""),
		Flags: map[string]string{"data-dir": "flag", "rudder-url": "http://flag", "braze-token": "u"},
	})
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:1", cfg.Listen)
	require.Equal(t, "127.0.0.1:3", cfg.Admin)
	require.Equal(t, "flag", cfg.DataDir)
	require.Equal(t, Queue{URL: "postgresql://b@h1:5432,h2:5432/db?target_session_attrs=read-write", MaxSize: 1 << 30, AckWait: 30 * time.Second}, cfg.Queue)
	require.Equal(t, Retain{Age: time.Hour, Size: 5 << 30}, cfg.Retain)
	require.Equal(t, []string{"u"}, cfg.Connectors[0].Tokens)
	require.Equal(t, "http://flag", cfg.Connectors[0].RudderURL)
	require.Equal(t, "env", cfg.Connectors[0].WriteKey)
}

func TestLoadWithoutFile(t *testing.T) {
	cfg, err := Load(t.Context(), Source{
		Env:   env("BRIDGE_WRITE_KEY", "k", "BRIDGE_OPEN", "true"),
		Flags: map[string]string{"rudder-url": "http://r", "mode": "webhook"},
	})
	require.NoError(t, err)
	want := DefaultConnector()
	want.Open, want.Mode, want.RudderURL, want.WriteKey = true, Webhook, "http://r", "k"
	require.Equal(t, []Connector{want}, cfg.Connectors)
	require.Equal(t, "default", want.Name)
}

// good is a connector with nothing wrong; tests put a mistake beside it.
const good = "    token: t\n    rudder_url: http://r\n    write_key: k\n"

type mistake struct {
	name, file string
	env        []string
	flags      map[string]string
	want       []string
}

func firstMistakes() []mistake {
	return []mistake{
		{name: "nothing at all", want: []string{
			"--braze-token: braze_token: is missing: set the token", "--rudder-url: rudder_url: is missing", "--write-key: write_key: is missing"}},
		{name: "empty file", file: "# nothing\n", want: []string{
			"bridge.yaml: braze_token: is missing: set the token", "bridge.yaml: rudder_url: is missing", "bridge.yaml: write_key: is missing"}},
		{name: "no YAML", file: "a: b\nc: [\n", want: []string{"bridge.yaml:2: config: is not YAML"}},
		{name: "a list", file: "- a\n", want: []string{"bridge.yaml:1: config: must be a map"}},
		{name: "text", file: "hello\n", want: []string{"bridge.yaml:1: config: must be a map"}},
		{name: "two documents", file: "listen: a\n---\nlisten: b\n", want: []string{"bridge.yaml: config: must hold one YAML document"}},
		{name: "unknown keys", file: "listen: 127.0.0.1:1\nlisen: 127.0.0.1:1\na.b: 1\nlog:\n  colour: true\nconnectors:\n  - rudderurl: http://r\n" + good, want: []string{
			"bridge.yaml:2: lisen: is not known here; did you mean listen?",
			"bridge.yaml:3: a.b: is not known here",
			"bridge.yaml:5: log.colour: is not known here; the keys are format, level",
			"bridge.yaml:7: connectors[0].rudderurl: is not known here; did you mean rudder_url?"}},
		{name: "written twice", file: "max_body: 1MiB\nmax_body: 2MiB\nconnectors:\n  -\n" + good, want: []string{"bridge.yaml:2: max_body: is written twice"}},
		{name: "no value", file: "listen:\nconnectors:\n", want: []string{"bridge.yaml:1: listen: has no value", "bridge.yaml:2: connectors: has no value"}},
		{name: "no connector", file: "connectors: []\n", want: []string{"bridge.yaml:1: connectors: is empty"}},
		{name: "wrong types", file: "listen: [a]\nqueue: [sqlite]\nretain: 72h\nlog: {level: {a: b}}\nmax_body: {}\ngrace: []\nconnectors:\n  - text\n  -\n  - open: [true]\n    dedupe_window: [1]\n    tokens: t\n    name: c\n    rudder_url: http://r\n    write_key: k\n", want: []string{
			"bridge.yaml:1: listen: must be text, not a list",
			"bridge.yaml:2: queue: must be a map of keys, not a list",
			"bridge.yaml:3: retain: must be a map of keys, not a single value",
			"bridge.yaml:4: log.level: must be text, not a map",
			"bridge.yaml:5: max_body: must be a size such as 16MiB, not a map",
			"bridge.yaml:6: grace: must be a duration such as 30s, not a list",
			"bridge.yaml:8: connectors[0]: must be a map of keys, not a single value",
			"bridge.yaml:9: connectors[1]: has no value",
			"bridge.yaml:10: connectors[2].open: must be true or false, not a list",
			"bridge.yaml:11: connectors[2].dedupe_window: must be a whole number, not a list",
			"bridge.yaml:12: connectors[2].tokens: must be a list, not a single value",
		}},
		{name: "connectors is a map", file: "connectors:\n  name: a\n", want: []string{"bridge.yaml:1: connectors: must be a list, not a map"}},
		{name: "wrong values", file: "listen: here\nadmin: 127.0.0.1:99999\ndata_dir: ' '\nqueue: kafka\nretain: {age: old, size: -1}\nmax_body: 0\ngrace: 2h\nlog: {format: xml, level: loud}\nconnectors:\n  - mode: both\n    missing_external_user_id: keep\n    dedupe_window: -1\n    concurrency: many\n    batch_events: 1.5\n    max_body: 10\n    timeout: 0s\n    backoff: {min: 1s, max: 1ms}\n    open: perhaps\n" + good, want: []string{
			`bridge.yaml:1: listen: must be an address such as 127.0.0.1:8080, not "here"`,
			`bridge.yaml:2: admin: must be an address`,
			`bridge.yaml:3: data_dir: is empty`,
			`bridge.yaml:4: queue.url: must be sqlite or postgres://`,
			`bridge.yaml:5: retain.age: must be a duration such as 30s, 72h or 7d, not "old"`,
			`bridge.yaml:5: retain.size: must be a size such as 16MiB or 20GB, not "-1"`,
			`bridge.yaml:6: max_body: must be between 1MiB and 1GiB, not 0`,
			`bridge.yaml:7: grace: must be between 0s and 1h, not 2h`,
			`bridge.yaml:8: log.format: must be text or json, not "xml"`,
			`bridge.yaml:8: log.level: must be debug, info, warn or error, not "loud"`,
			`bridge.yaml:10: connectors[0].mode: must be events or webhook, not "both"`,
			`bridge.yaml:11: connectors[0].missing_external_user_id: must be deliver, dead or drop, not "keep"`,
			`bridge.yaml:12: connectors[0].dedupe_window: must be between 0 and 100000000, not -1`,
			`bridge.yaml:13: connectors[0].concurrency: must be a whole number, not "many"`,
			`bridge.yaml:14: connectors[0].batch_events: must be a whole number, not "1.5"`,
			`bridge.yaml:15: connectors[0].max_body: must be between 64KiB and 64MiB, or 0, which is what RudderStack takes: 3.5 MB, webhook 3 MB, not 10`,
			`bridge.yaml:16: connectors[0].timeout: must be between 1s and 1h, not 0s`,
			`bridge.yaml:17: connectors[0].backoff.max: must be at least backoff.min, 1s, not 1ms`,
			`bridge.yaml:18: connectors[0].open: must be true or false, not "perhaps"`,
		}},
	}
}

func moreMistakes() []mistake {
	return []mistake{
		{name: "names", file: "connectors:\n  - name: a b\n" + good + "  - name: x\n    token: u\n    rudder_url: http://r\n    write_key: k\n  - name: x\n    token: v\n    rudder_url: http://r\n    write_key: k\n  - token: w\n    rudder_url: http://r\n    write_key: k\n", want: []string{
			`bridge.yaml:2: connectors[0].name: must be 1 to 64 letters`,
			`bridge.yaml:10: connectors[2].name: "x" is also the name of connectors[1]`,
			`bridge.yaml:14: connectors[3].name: is missing`,
		}},
		{name: "tokens", file: "connectors:\n  - {name: a, token: '', rudder_url: http://r, write_key: k}\n  - {name: b, tokens: [x, 'y z', x], rudder_url: http://r, write_key: k}\n  - {name: c, token: x, rudder_url: http://r, write_key: k}\n  - {name: d, token: q, tokens: [r], rudder_url: http://r, write_key: k}\n  - {name: e, token: s, open: true, rudder_url: http://r, write_key: k}\n  - {name: f, rudder_url: http://r, write_key: k}\n  - {name: g, tokens: [], rudder_url: http://r, write_key: k}\n", want: []string{
			`bridge.yaml:2: connectors[0].token: is empty`,
			`bridge.yaml:3: connectors[1].tokens[1]: has a character`,
			`bridge.yaml:3: connectors[1].tokens[2]: is written twice`,
			`bridge.yaml:4: connectors[2].token: is also a token of connectors[1]`,
			`bridge.yaml:5: connectors[3].tokens: cannot stand beside token`,
			`bridge.yaml:6: connectors[4].open: is true, but there is a token`,
			`bridge.yaml:7: connectors[5].token: is missing`,
			`bridge.yaml:8: connectors[6].token: is missing`,
		}},
		{name: "addresses of RudderStack", file: "connectors:\n  - {name: a, token: a, rudder_url: 'ftp://r', write_key: k}\n  - {name: b, token: b, rudder_url: 'https://u:p@r', write_key: k}\n  - {name: c, token: c, rudder_url: 'https://r/?writeKey=k', write_key: k}\n  - {name: d, token: d, rudder_url: 'https://r/v1/batch', write_key: k}\n  - {name: e, token: e, rudder_url: 'localhost:8090', write_key: 'k:'}\n  - {name: f, token: f, rudder_url: '//r', write_key: ''}\n", want: []string{
			`bridge.yaml:2: connectors[0].rudder_url: must be an http or https URL`,
			`bridge.yaml:3: connectors[1].rudder_url: must have no user or password`,
			`bridge.yaml:4: connectors[2].rudder_url: must have no query`,
			`bridge.yaml:5: connectors[3].rudder_url: must be the data plane's URL without /v1/…`,
			`bridge.yaml:6: connectors[4].rudder_url: must be an http or https URL`,
			`bridge.yaml:6: connectors[4].write_key: has a character`,
			`bridge.yaml:7: connectors[5].rudder_url: must be an http or https URL`,
			`bridge.yaml:7: connectors[5].write_key: is missing`,
		}},
	}
}

func mistakesElsewhere() []mistake {
	return []mistake{
		{name: "queues", file: "queue: {url: 'postgres://u:s3cret@db/x', max_size: 1}\nconnectors:\n  - {name: a, token: a, rudder_url: http://r, write_key: k, queue: 'postgres://db/x?password=s3cret'}\n" +
			"  - {name: b, token: b, rudder_url: http://r, write_key: k, queue: 'postgres://u@db:s3cret/x'}\n" +
			"  - {name: c, token: c, rudder_url: http://r, write_key: k, queue: {url: sqlite, password: s3cret}}\n" +
			"  - {name: d, token: d, rudder_url: http://r, write_key: k, queue: 'postgres://u@db/x?sslmode=maybe', wrong_token: 403, no_identity: keep, pii: {unknown: drop}, give_up_after: 1s, connection_max_age: 2d}\n", want: []string{
			`bridge.yaml:1: queue.max_size: must be between 16MiB and`,
			`bridge.yaml:1: queue.url: must have no password in it`,
			`bridge.yaml:3: connectors[0].queue.url: must have no password in it`,
			`bridge.yaml:4: connectors[1].queue.url: is no URL of PostgreSQL`,
			`bridge.yaml:5: connectors[2].queue.password: is for a queue on PostgreSQL`,
			`bridge.yaml:6: connectors[3].no_identity: must be dead or drop, not "keep"`,
			`bridge.yaml:6: connectors[3].wrong_token: must be 401 or 503, not "403"`,
			`bridge.yaml:6: connectors[3].pii.unknown: must be as_preset or keep, not "drop"`,
			`bridge.yaml:6: connectors[3].give_up_after: must be between 1m and 720h, not 1s`,
			`bridge.yaml:6: connectors[3].connection_max_age: must be between 1s and 24h, not 48h`,
			`bridge.yaml:6: connectors[3].queue.url: is no URL of PostgreSQL`,
		}},
		{name: "glossary", file: "glossary: /none.json\nconnectors:\n  -\n" + good, want: []string{"bridge.yaml:1: glossary: read the glossary: open /none.json"}},
		{name: "variables", file: "listen: ${HERE}\nadmin: ${NO SPACE}\nconnectors:\n  -\n" + good, want: []string{
			`bridge.yaml:1: listen: the environment variable HERE is not set`,
			`bridge.yaml:2: admin: has a ${…} that is no reference to an environment variable`,
		}},
		{name: "environment and flags are named", env: []string{"BRIDGE_MAX_BODY", "big", "BRIDGE_LOG_LEVEL", "x"}, flags: map[string]string{
			"listen": "x", "rudder-url": "x", "write-key": "k", "open": "true"}, want: []string{
			`BRIDGE_MAX_BODY: max_body: must be a size`,
			`BRIDGE_LOG_LEVEL: log.level: must be`,
			`--listen: listen: must be an address`,
			`--rudder-url: rudder_url: must be an http or https URL`,
		}},
		{name: "one connector beside several", file: "write_key: x\nconnectors:\n  - name: a\n" + good + "  - {name: b, token: u, rudder_url: http://r, write_key: k}\n",
			env: []string{"BRIDGE_BRAZE_TOKEN", "left alone"}, flags: map[string]string{"rudder-url": "http://r"}, want: []string{
				`--rudder-url: rudder_url: cannot be given beside a file with several connectors`,
				`bridge.yaml:1: write_key: belongs to a connector`,
			}},
		{name: "the same address twice", file: "listen: 127.0.0.1:9090\nconnectors:\n  -\n" + good, want: []string{`bridge.yaml: admin: must be another address than listen`}},
	}
}

func TestLoadMistakes(t *testing.T) {
	for _, tt := range slices.Concat(firstMistakes(), moreMistakes(), mistakesElsewhere()) {
		t.Run(tt.name, func(t *testing.T) {
			src := Source{Env: env(tt.env...), Flags: tt.flags}
			if tt.file != "" {
				src.File = writeFile(t, tt.file)
			}
			_, err := Load(t.Context(), src)
			var wrong *Error
			require.ErrorAs(t, err, &wrong)
			require.NotContains(t, err.Error(), "s3cret")
			var got []string
			for _, p := range wrong.Mistakes {
				got = append(got, strings.TrimPrefix(p.String(), filepath.Dir(src.File)+"/"))
			}
			require.Len(t, got, len(tt.want), "%s", strings.Join(got, "\n"))
			for i := range got {
				require.True(t, strings.HasPrefix(got[i], tt.want[i]), "got  %s\nwant %s", got[i], tt.want[i])
			}
		})
	}
}

func TestMistakesHoldNoSecrets(t *testing.T) {
	_, err := Load(t.Context(), Source{File: writeFile(t, "connectors:\n  - {name: a, token: 'sec ret', rudder_url: 'https://u:secret@r?writeKey=secret', write_key: 'secret:'}\n")})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
	require.NotContains(t, err.Error(), "sec ret")
}

func TestLoadMissingFile(t *testing.T) {
	_, err := Load(t.Context(), Source{File: filepath.Join(t.TempDir(), "none.yaml")})
	var wrong *Error
	require.True(t, errors.As(err, &wrong))
	require.ErrorContains(t, err, "none.yaml: no such file or directory")
}

// Aliases can make a few hundred bytes stand for billions of values, in lists,
// in maps that merge each other, and in themselves.
func TestAliasesAreBounded(t *testing.T) {
	bomb := func(first, level, use string) string {
		var b strings.Builder
		fmt.Fprintf(&b, first, 0)
		for i := 1; i < 10; i++ {
			fmt.Fprintf(&b, level, i, strings.Join(slices.Repeat([]string{fmt.Sprintf("*a%d", i-1)}, 9), ","))
		}
		return b.String() + use
	}
	lists := bomb("x0: &a%d [l,l,l]\n", "x%[1]d: &a%[1]d [%[2]s]\n", "")
	require.Less(t, len(lists), 500)
	many := "x: &x [" + strings.Repeat("a,", 2000) + "a]\nc: &c {token: t, rudder_url: 'http://r', write_key: k, filter: {allow: *x}}\nconnectors: [" + strings.Repeat("*c,", 2000) + "*c]\n"
	for name, tt := range map[string]struct{ file, want string }{
		"lists":                          {lists, "x0: is not known here"},
		"lists, used":                    {lists + "connectors: *a9\n", "connectors[0]: must be a map of keys, not a list"},
		"merged maps":                    {bomb("x0: &a%d {a: b}\n", "x%[1]d: &a%[1]d {<<: [%[2]s]}\n", "connectors: [{<<: *a9}]\n"), "has more than 100000 values"},
		"contains itself":                {"log: &a\n  level: *a\n", "log.level: must be text, not a map"},
		"merges itself":                  {"log: &a\n  <<: *a\n", "has more than 100000 values"},
		"a large list in each connector": {many, "has more than 100000 values"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Load(t.Context(), Source{File: writeFile(t, tt.file)})
			runtime.ReadMemStats(&after)
			require.ErrorContains(t, err, tt.want)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(200<<20))
		})
	}
}

func TestLargeFilesAreRefused(t *testing.T) {
	_, err := Load(t.Context(), Source{File: writeFile(t, strings.Repeat("# nothing\n", maxFile/10+1))})
	require.ErrorContains(t, err, "is larger than 4MiB")
}

// The pipe has no writer: only the end of the context ends the read.
func TestLoadEndsWithItsContext(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "bridge.yaml")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Load(ctx, Source{File: pipe})
	require.ErrorIs(t, err, context.Canceled)
	w, err := os.OpenFile(pipe, os.O_WRONLY, 0) // lets the reader go
	require.NoError(t, err)
	require.NoError(t, w.Close())
}

func TestUnits(t *testing.T) {
	for text, want := range map[string]Size{"16MiB": 16 << 20, "20GB": 20e9, "1.5 KiB": 1536, "7": 7, "7B": 7, "1tib": 1 << 40} {
		got, err := parseSize(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "MiB", "-1", "1XB", "NaN", "1e300", "0x10", "16MiBs"} {
		_, err := parseSize(text)
		require.Error(t, err, text)
	}
	for text, want := range map[string]time.Duration{"72h": 72 * time.Hour, "7d": 168 * time.Hour, "1m30s": 90 * time.Second, "0": 0} {
		got, err := parseDuration(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "5", "-1s", "d", "1.5d", "99999d"} {
		_, err := parseDuration(text)
		require.Error(t, err, text)
	}
	for n, want := range map[int64]string{1 << 30: "1GiB", 16 << 20: "16MiB", 1 << 10: "1KiB", 4_000_000: "4000000"} {
		require.Equal(t, want, Size(n).String())
	}
}
