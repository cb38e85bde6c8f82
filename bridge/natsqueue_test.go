package bridge

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue/jetstream"
)

// credentials writes a file as nsc does.
func credentials(t *testing.T) string {
	t.Helper()
	user, err := nkeys.CreateUser()
	require.NoError(t, err)
	seed, err := user.Seed()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "nats.creds")
	require.NoError(t, os.WriteFile(file, []byte("-----BEGIN NATS USER JWT-----\neyJ0eXAi.eyJqdGki.c2ln\n------END NATS USER JWT------\n\n"+
		"-----BEGIN USER NKEY SEED-----\n"+string(seed)+"\n------END USER NKEY SEED------\n"), 0o600))
	return file
}

const oneConnector = "braze_token: t\nrudder_url: http://r\nwrite_key: k\n"

func TestLoadAQueueOnNATS(t *testing.T) {
	creds := credentials(t)
	cert, key := certificate(t, 1)
	certFile, keyFile := fileOf(t, "cert.pem", cert), fileOf(t, "key.pem", key)
	cfg, err := Load(Source{File: writeFile(t, `
queue:
  store: tls://n1.example.com:4222, n2.example.com:5222,tls://[::1]
  max_size: 30GiB
  credentials: `+creds+`
  tls: {ca: "`+certFile+`", cert: "`+certFile+`", key: "`+keyFile+`", server_name: nats.internal}
  prefix: brand-a_1
  replicas: 5
  repeats: 10m
  ack_wait: 30s
retain: {age: 1h, size: 5MiB}
data_dir: /elsewhere
scrub_every: 0
`+oneConnector)})
	require.NoError(t, err)
	opts, err := cfg.jetstream()
	require.NoError(t, err)
	require.Equal(t, "nats.internal", opts.TLS.ServerName)
	require.NotNil(t, opts.TLS.RootCAs)
	pair, err := opts.TLS.GetClientCertificate(nil)
	require.NoError(t, err)
	require.NotEmpty(t, pair.Certificate)
	opts.TLS = nil
	require.Equal(t, jetstream.Options{
		URL: "tls://n1.example.com:4222,tls://n2.example.com:5222,tls://[::1]:4222", Credentials: creds, Prefix: "brand-a_1", Replicas: 5,
		RetainAge: time.Hour, RetainBytes: 5 << 20, MaxBytes: 30 << 30, Repeats: 10 * time.Minute, AckWait: 30 * time.Second,
	}, opts)
	require.Equal(t, []string{
		"scrub_every: is not used where the queue is on NATS; the servers look after their own files",
	}, cfg.Warnings())
}

func TestAQueueOnNATSFromEnvironmentAndFlags(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("from file\n"), 0o600))
	cfg, err := Load(Source{
		File: writeFile(t, "queue: {store: \"nats://old\", user: u, password: in the file, tls: {server_name: x}}\n"+oneConnector),
		Env: env("BRIDGE_QUEUE", "nats://new:1,newer", "BRIDGE_QUEUE_PASSWORD_FILE", secret, "BRIDGE_QUEUE_REPLICAS", "2",
			"BRIDGE_QUEUE_TLS_SERVER_NAME", "y"),
		Flags: map[string]string{"queue.replicas": "3", "queue.tls.server_name": "z"},
	})
	require.NoError(t, err)
	require.Equal(t, Queue{Store: "nats://new:1,newer", NATS: NATS{
		User: "u", Password: "from file", Replicas: 3, TLS: ClientTLS{ServerName: "z"}}}, cfg.Queue)
	servers, err := cfg.Queue.servers()
	require.NoError(t, err)
	require.Equal(t, []string{"nats://new:1", "nats://newer:4222"}, servers)

	cfg, err = Load(Source{
		Env:   env("BRIDGE_QUEUE_TOKEN", "t", "BRIDGE_QUEUE_PREFIX", "p", "BRIDGE_QUEUE_ACK_WAIT", "1m", "BRIDGE_QUEUE_REPEATS", "1m"),
		Flags: map[string]string{"queue": "nats://127.0.0.1", "braze_token": "t", "rudder_url": "http://r", "write_key": "k"},
	})
	require.NoError(t, err)
	require.Equal(t, NATS{Token: "t", Prefix: "p", AckWait: time.Minute, Repeats: time.Minute}, cfg.Queue.NATS)
}

func TestMistakesInAQueueOnNATS(t *testing.T) {
	good, noKey := credentials(t), filepath.Join(t.TempDir(), "half.creds")
	text, err := os.ReadFile(good)
	require.NoError(t, err)
	jwt, _, _ := strings.Cut(string(text), "-----BEGIN USER")
	require.NoError(t, os.WriteFile(noKey, []byte(jwt), 0o600))
	tests := []struct {
		name, queue string
		want        []string // "queue." is before each
	}{
		{"password in the URL", `nats://user:hush@n1:4222`, []string{`: must have no user, password or token in it; they go into queue.user and queue.password_file`}},
		{"token in the URL", `nats://hush@n1`, []string{`: must have no user`}},
		{"other scheme", `kafka://hush`, []string{`: must be pebble, or nats://HOST:PORT or tls://HOST:PORT`}},
		{"schemes mixed", `"nats://n1,tls://n2"`, []string{`: must have the same scheme`}},
		{"no host", `"nats://n1,,n2"`, []string{`: must name each server as HOST:PORT`}},
		{"path", `nats://n1/hush`, []string{`: must name each server`}},
		{"query", `nats://n1?hush=hush`, []string{`: must name each server`}},
		{"port", `nats://n1:hush`, []string{`: must name each server`}},
		{"large port", `nats://n1:99999`, []string{`: has a port that is not a number`}},
		{"unknown key", `{store: "nats://n1", stream: x, tls: {insecure: true}}`, []string{
			`.tls.insecure: is not known here; the keys are ca, cert, key, server_name`, `.stream: is not known here; the keys are store, max_size, credentials,`}},
		{"keys for NATS with pebble", "\n  store: pebble\n  credentials: x\n  token: hush\n  prefix: p\n  replicas: 3\n  tls: {ca: x}\n", []string{
			`.credentials: is for a queue on NATS, and queue is pebble`, `.token: is for`, `.prefix: is for`, `.replicas: is for`, `.tls.ca: is for`}},
		{"two ways in", `{store: "nats://n1", user: u, password: hush, token: hush}`, []string{`.token: cannot stand beside queue.user`}},
		{"credentials and more", `{store: "nats://n1", credentials: ` + good + `, token: hush}`, []string{`.credentials: cannot stand beside queue.token`}},
		{"credentials and a user", `{store: "nats://n1", credentials: ` + good + `, user: hush}`, []string{`.credentials: cannot stand beside queue.user`}},
		{"user alone", `{store: "nats://n1", user: hush}`, []string{`.user: needs queue.password`}},
		{"password alone", `{store: "nats://n1", password: hush}`, []string{`.password: needs queue.user`}},
		{"password twice", `{store: "nats://n1", user: u, password: hush, password_file: /none}`, []string{`.password_file: cannot stand beside password`}},
		{"no such token file", `{store: "nats://n1", token_file: /none}`, []string{`.token_file: there is no file /none`}},
		{"no credentials file", `{store: "nats://n1", credentials: /none}`, []string{`.credentials: open /none`}},
		{"credentials without a key", `{store: "nats://n1", credentials: ` + noKey + `}`, []string{`.credentials: ` + noKey + ` holds no user's key`}},
		{"no certificates", `{store: "tls://n1", tls: {ca: ` + good + `, cert: ` + good + `}}`, []string{
			`.tls.cert: needs queue.tls.key`, `.tls.ca: ` + good + ` holds no certificate`}},
		{"a prefix that is another one's", "\n  store: nats://n1\n  prefix: a_\n", []string{`.prefix: must be 1 to 32 letters`}},
		{"numbers", "\n  store: nats://n1\n  prefix: a.b\n  replicas: 6\n  repeats: 1s\n  ack_wait: 10ms\n  max_size: -1\n", []string{
			`.prefix: must be 1 to 32 letters`, `.replicas: must be between 0 and 5`, `.repeats: must be between 30s and 24h`,
			`.ack_wait: must be between 1s and 1h`, `.max_size: must be a size`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := writeFile(t, oneConnector+"queue: "+tt.queue+"\n")
			for name, load := range map[string]func(Source) (Config, error){"Load": Load, "LoadStore": LoadStore} {
				_, err := load(Source{File: file})
				var wrong *ConfigError
				require.ErrorAs(t, err, &wrong, name)
				require.NotContains(t, err.Error(), "hush")
				require.Len(t, wrong.Problems, len(tt.want), err)
				for i, want := range tt.want {
					got := wrong.Problems[i]
					require.True(t, strings.HasPrefix(got.Key+": "+got.Text, "queue"+want), "got  %s\nwant queue%s", got, want)
					require.Contains(t, got.Where, file+":")
				}
			}
		})
	}
}

// LoadStore is for commands that do not deliver.
func TestLoadStoreNeedsNoConnector(t *testing.T) {
	cfg, err := LoadStore(Source{Flags: map[string]string{"queue": "nats://127.0.0.1", "retain.age": "1h"}})
	require.NoError(t, err)
	require.True(t, cfg.Queue.OnNATS())
	require.Equal(t, time.Hour, cfg.Retain.Age)
	_, err = Load(Source{Flags: map[string]string{"queue": "nats://127.0.0.1"}})
	require.Error(t, err)
	_, err = LoadStore(Source{File: writeFile(t, "que: pebble\nlog: {level: loud}\n")})
	require.ErrorContains(t, err, "que: is not known")
	require.ErrorContains(t, err, "log.level: must be")
}
