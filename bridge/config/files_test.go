package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/certtest"
)

// fileOf writes a file into a new directory and returns its name.
func fileOf(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestLoadWhatLeavesAndHow(t *testing.T) {
	cert, key := certtest.New(t)
	certFile, keyFile := fileOf(t, "cert.pem", cert), fileOf(t, "key.pem", key)
	cfg, err := Load(t.Context(), Source{Env: env("DIR", filepath.Dir(certFile)), File: writeFile(t, `
tls: {cert: `+certFile+`, key: `+keyFile+`}
admin_token_file: `+fileOf(t, "admin", "operator\n")+`
admin_hosts: bridge.example.com, .svc
scrub_every: 0s
max_requests: 300
max_connections: 5000
connectors:
  - name: shaped
    token_files: [`+fileOf(t, "old", "old\n")+`, `+fileOf(t, "new", "\nnew-1\r\nnew-2\n")+`]
    rudder_url: http://r
    write_key_file: `+fileOf(t, "wk", "k\n")+`
    names: {preset: rudderstack, users.messages.email.Open: Opened, users.messages.*: "Message *"}
    filter:
      allow: [users.*]
      deny: users.messages.sms.*, users.messages.whatsapp.*
      allow_properties: {app_id: [a, b, null]}
      deny_properties: {is_bot: true, custom_properties.plan: [free, 0]}
    pii: {preset: hash, fields: {email: drop, user.external_user_id: hash}}
    salt_file: `+fileOf(t, "salt", "pepper\n")+`
    profile_updates: identify
    user_orphan: alias
    requests_per_second: 12.5
    gzip: off
    ca_file: `+certFile+`
  - {name: readable, token_file: `+fileOf(t, "one", "t")+`, rudder_url: http://r, write_key: k, names: rudderstack, pii: drop, salt: s, profile_updates: track}
`)})
	require.NoError(t, err)
	require.Equal(t, TLS{certFile, keyFile}, cfg.TLS)
	require.Equal(t, "operator", cfg.AdminToken)
	require.Equal(t, []string{"bridge.example.com", ".svc"}, cfg.AdminHosts)
	require.Zero(t, cfg.ScrubEvery)
	require.Equal(t, [2]int{300, 5000}, [2]int{cfg.MaxRequests, cfg.MaxConnections})

	want := DefaultConnector()
	want.Name, want.Tokens, want.RudderURL, want.WriteKey = "shaped", []string{"old", "new-1", "new-2"}, "http://r", "k"
	want.Names = Names{Preset: "rudderstack", Map: map[string]string{"users.messages.email.Open": "Opened", "users.messages.*": "Message *"}}
	want.Filter = Filter{
		Allow: []string{"users.*"}, Deny: []string{"users.messages.sms.*", "users.messages.whatsapp.*"},
		AllowProperties: map[string][]string{"app_id": {"a", "b", "null"}},
		DenyProperties:  map[string][]string{"custom_properties.plan": {"free", "0"}, "is_bot": {"true"}},
	}
	want.PII.Preset, want.PII.Fields, want.Salt = "hash", map[string]string{"email": "drop", "user.external_user_id": "hash"}, "pepper"
	want.ProfileUpdates, want.UserOrphan = "identify", "alias"
	want.RequestsPerSecond, want.Gzip, want.CAFile = 12.5, "off", certFile
	require.Equal(t, want, cfg.Connectors[0])

	want = DefaultConnector()
	want.Name, want.Tokens, want.RudderURL, want.WriteKey = "readable", []string{"t"}, "http://r", "k"
	want.Names.Preset = "rudderstack"
	want.PII.Preset, want.Salt = "drop", "s"
	require.Equal(t, want, cfg.Connectors[1])
}

// The one connector can be set whole by variables and flags, and a later layer
// takes the place of what an earlier one says in another way.
func TestLoadOneConnectorWithoutAFile(t *testing.T) {
	token := fileOf(t, "token", "from-file\n")
	cfg, err := Load(t.Context(), Source{
		File: writeFile(t, "braze_tokens: [a, b]\nwrite_key_file: /nowhere\nrudder_url: http://r\nnames: {x.y: Z}\nbackoff: {max: 7s}\n"),
		Env: env("BRIDGE_BRAZE_TOKEN_FILE", token, "BRIDGE_FILTER_DENY", "a.*, b", "BRIDGE_BACKOFF_MIN", "2s", "BRIDGE_PII", "hash",
			"BRIDGE_SALT", "pepper", "BRIDGE_WRITE_KEY_FILE", "/nowhere", "BRIDGE_REQUESTS_PER_SECOND", "3", "BRIDGE_ADMIN_TOKEN", "op", "BRIDGE_TLS_CERT", ""),
		Flags: map[string]string{"write-key": "k", "concurrency": "2"},
	})
	require.NoError(t, err)
	want := DefaultConnector()
	want.Tokens, want.WriteKey, want.RudderURL = []string{"from-file"}, "k", "http://r"
	want.Names.Map = map[string]string{"x.y": "Z"}
	want.Filter.Deny = []string{"a.*", "b"}
	want.PII.Preset, want.Salt = "hash", "pepper"
	want.Backoff = Backoff{2 * time.Second, 7 * time.Second}
	want.RequestsPerSecond, want.Concurrency = 3, 2
	require.Equal(t, []Connector{want}, cfg.Connectors)
	require.Equal(t, "op", cfg.AdminToken)

	// Beside a list of one connector they say the same.
	cfg, err = Load(t.Context(), Source{
		File: writeFile(t, "connectors:\n  - {tokens: [a, b], rudder_url: http://r, write_key_file: /nowhere, backoff: {max: 7s}}\n"),
		Env:  env("BRIDGE_BRAZE_TOKEN_FILE", token, "BRIDGE_BACKOFF_MIN", "2s", "BRIDGE_WRITE_KEY", "k"),
	})
	require.NoError(t, err)
	require.Equal(t, []string{"from-file"}, cfg.Connectors[0].Tokens)
	require.Equal(t, "k", cfg.Connectors[0].WriteKey)
	require.Equal(t, Backoff{2 * time.Second, 7 * time.Second}, cfg.Connectors[0].Backoff)
}

// loadMistake is a file and what is wrong with it.
type loadMistake struct {
	name, file string
	want       []string
}

func TestLoadMoreMistakes(t *testing.T) {
	_, key := certtest.New(t)
	for _, tt := range slices.Concat(mistakesInFiles(t), mistakesOfConnectors(fileOf(t, "key.pem", key))) {
		t.Run(tt.name, func(t *testing.T) {
			file := writeFile(t, tt.file)
			_, err := Load(t.Context(), Source{File: file})
			var wrong *Error
			require.ErrorAs(t, err, &wrong)
			require.NotContains(t, err.Error(), "sec ret")
			require.NotContains(t, err.Error(), "sec-ret")
			var got []string
			for _, p := range wrong.Mistakes {
				dir, base := filepath.Split(p.Where)
				got = append(got, strings.TrimPrefix(p.String(), dir))
				require.NotEmpty(t, base)
			}
			require.Len(t, got, len(tt.want), "%s", strings.Join(got, "\n"))
			for i := range got {
				require.True(t, strings.HasPrefix(got[i], tt.want[i]), "got  %s\nwant %s", got[i], tt.want[i])
			}
		})
	}
}

// mistakesInFiles are mostly in files that the configuration names.
func mistakesInFiles(t *testing.T) []loadMistake {
	cert, key := certtest.New(t)
	_, otherKey := certtest.New(t)
	certFile, keyFile, other := fileOf(t, "cert.pem", cert), fileOf(t, "key.pem", key), fileOf(t, "key.pem", otherKey)
	tokens := fileOf(t, "tokens", "good\nsec ret\n")
	empty := fileOf(t, "empty", "\n")
	return []loadMistake{
		{"half a certificate", "tls: {cert: " + certFile + "}\nconnectors:\n  -\n" + good, []string{"bridge.yaml:1: tls.cert: needs tls.key"}},
		{"the other half", "tls: {key: " + keyFile + "}\nconnectors:\n  -\n" + good, []string{"bridge.yaml:1: tls.key: needs tls.cert"}},
		{"another certificate's key", "tls: {cert: " + certFile + ", key: " + other + "}\nconnectors:\n  -\n" + good,
			[]string{"bridge.yaml:1: tls.cert: the certificate and tls.key cannot be used: tls: private key does not match"}},
		{"no certificate", "tls: {cert: /none.pem, key: " + keyFile + "}\nconnectors:\n  -\n" + good,
			[]string{"bridge.yaml:1: tls.cert: the certificate and tls.key cannot be used: open /none.pem: no such file"}},
		{"admin token", "admin_token: sec ret\nscrub_every: 400d\nmax_requests: -1\nmax_connections: x\nconnectors:\n  -\n" + good, []string{
			"bridge.yaml:1: admin_token: has a character", "bridge.yaml:2: scrub_every: must be between 1s and 8784h, or 0, which is never, not 9600h",
			"bridge.yaml:3: max_requests: must be between 1 and 1000000, or 0, which is the default of 1024, not -1", "bridge.yaml:4: max_connections: must be a whole number"}},
		{"names of the admin address", "admin_hosts: [fine.example.com, 'http://x.y']\nconnectors:\n  -\n" + good, []string{
			`bridge.yaml:1: admin_hosts: "http://x.y" is no host name; give it without scheme and port`}},
		{"secrets in files", "admin_token_file: " + empty + "\nconnectors:\n" +
			"  - {name: a, token: t, token_file: x, write_key: k, write_key_file: k, rudder_url: http://r}\n" +
			"  - {name: b, token_file: /none, write_key_file: /none, rudder_url: http://r}\n" +
			"  - {name: c, token_file: " + empty + ", write_key_file: " + empty + ", rudder_url: http://r}\n" +
			"  - {name: d, token_files: [/none, " + tokens + "], write_key: k, salt: a, salt_file: b, rudder_url: http://r}\n", []string{
			"bridge.yaml:1: admin_token_file: ",
			"tokens:2: connectors[3].tokens[1]: has a character that a bearer token cannot have",
			"bridge.yaml:3: connectors[0].token_file: cannot stand beside token",
			"bridge.yaml:3: connectors[0].write_key_file: cannot stand beside write_key",
			"bridge.yaml:4: connectors[1].token_file: there is no file /none",
			"bridge.yaml:4: connectors[1].write_key_file: there is no file /none",
			"bridge.yaml:5: connectors[2].token_file: nothing stands in ",
			"bridge.yaml:5: connectors[2].write_key_file: ",
			"bridge.yaml:6: connectors[3].token_files: there is no file /none",
			"bridge.yaml:6: connectors[3].salt_file: cannot stand beside salt",
		}},
	}
}

// mistakesOfConnectors are in how connectors deliver. keyFile holds a key, where a
// certificate should be.
func mistakesOfConnectors(keyFile string) []loadMistake {
	return []loadMistake{
		{"delivery", "connectors:\n  - names: short\n    profile_updates: yes\n    user_orphan: no\n    requests_per_second: -1\n    gzip: always\n    ca_file: " + keyFile +
			"\n    filter: {allow: {a: b}, alow: x, deny_properties: [a], allow_properties: {a: {b: c}}}\n    pii: [drop]\n" + good, []string{
			"bridge.yaml:2: connectors[0].names.preset: must be braze or rudderstack, not \"short\"",
			"bridge.yaml:3: connectors[0].profile_updates: must be track or identify, not \"yes\"",
			"bridge.yaml:4: connectors[0].user_orphan: must be track or alias, not \"no\"",
			"bridge.yaml:5: connectors[0].requests_per_second: must be between 0.01 and 100000, or 0, which is no limit, not -1",
			"bridge.yaml:6: connectors[0].gzip: must be auto or off, not \"always\"",
			"bridge.yaml:7: connectors[0].ca_file: ",
			"bridge.yaml:8: connectors[0].filter.allow: must be a list, not a map",
			"bridge.yaml:8: connectors[0].filter.allow_properties.a[0]: must be text, not a map",
			"bridge.yaml:8: connectors[0].filter.deny_properties: must be a map of keys, not a list",
			"bridge.yaml:8: connectors[0].filter.alow: is not known here; did you mean allow?",
			"bridge.yaml:9: connectors[0].pii: must be a map of keys, not a list",
		}},
		{"what the mapping refuses", "connectors:\n  - names:\n      a.b: ''\n      a*c: X\n    filter:\n      allow: [ok, '[']\n      deny_properties:\n        plan: []\n    pii:\n      preset: hide\n      fields:\n        email: shout\n" + good +
			"  - {name: c, token: d, rudder_url: http://r, write_key: k, pii: hash}\n", []string{
			"bridge.yaml:2: connectors[0].name: is missing",
			"bridge.yaml:3: connectors[0].names.a.b: the name is empty",
			"bridge.yaml:4: connectors[0].names.a*c: a pattern may have a star at its end only",
			"bridge.yaml:6: connectors[0].filter.allow[1]: ",
			"bridge.yaml:8: connectors[0].filter.deny_properties.plan: there is no value",
			"bridge.yaml:10: connectors[0].pii.preset: ",
			"bridge.yaml:12: connectors[0].pii.fields.email: ",
			"bridge.yaml:16: connectors[1].salt: hash needs a salt",
		}},
		{"webhook", "connectors:\n  - mode: webhook\n    names: {a: b}\n    profile_updates: identify\n    user_orphan: alias\n" + good, []string{
			"bridge.yaml:3: connectors[0].names: changes messages", "bridge.yaml:4: connectors[0].profile_updates: changes messages",
			"bridge.yaml:5: connectors[0].user_orphan: changes messages",
		}},
		{"a secret that looks like an anchor", "connectors:\n  - token: *sec-ret\n", []string{"bridge.yaml: config: is not YAML: a value that begins with * needs quotes"}},
		{"a secret that looks like a variable", "connectors:\n  - token: a${sec ret}\n    write_key: k\n    rudder_url: http://r\n", []string{
			"bridge.yaml:2: connectors[0].token: has a ${…} that is no reference"}},
	}
}
