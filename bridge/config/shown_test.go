package config

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/mapping"
)

func TestShown(t *testing.T) {
	cfg := Default()
	cfg.AdminToken, cfg.Queue.Password, cfg.Retain.Age = "s3cret", "p4ssword", 24*time.Hour
	cfg.Queue.URL = "postgres://bridge@db:5432/bridge?sslpassword=k3y"
	cfg.AdminHosts = []string{"a.example.com", ".svc"}
	c := DefaultConnector()
	c.Tokens, c.WriteKey = []string{"t0ken", "t1ken"}, "wr1tekey"
	c.PII.Fields = map[string]mapping.Action{"b": "hash", "a": "drop"}
	c.Queue = &Queue{URL: SQLite, Password: "p4ssword"}
	got := map[string]string{}
	for _, s := range append(cfg.Shown(), c.Shown()...) {
		for _, secret := range []string{"s3cret", "p4ssword", "k3y", "t0ken", "t1ken", "wr1tekey"} {
			require.NotContains(t, s.Value, secret, s.Key)
		}
		got[s.Key] = s.Value
	}
	for key, want := range map[string]string{
		"admin_token": "set", "queue.password": "set", "token": "2 set", "write_key": "set", "salt": "not set",
		"retain.age": "24h", "retain.size": "20GiB", "admin_hosts": "a.example.com, .svc", "pii.fields": "a: drop, b: hash", "listen": "127.0.0.1:8080",
		"queue.max_size": "0: all there is", "glossary": "the built-in one", "filter.allow": "all", "open": "the bridge's open",
	} {
		require.Equal(t, want, got[key], key)
	}
	require.Contains(t, cfg.Shown(), Shown{"queue.url", "postgres://bridge@db:5432/bridge", false})
	for _, s := range append(Default().Shown(), DefaultConnector().Shown()...) {
		require.True(t, s.Default, s.Key)
	}
}
