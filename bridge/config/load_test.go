package config

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/certtest"
)

func env(variables map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}
}

func filesOf(t *testing.T) string {
	dir := t.TempDir()
	cert, key := certtest.New(t)
	_, other := certtest.New(t)
	for name, text := range map[string]string{
		"cert.pem": cert, "key.pem": key, "other.pem": other, "empty": "\n", "tokens": "good\nsec ret\n", "admin": "operator\n",
		"old": "old\n", "new": "\nnew-1\r\nnew-2\n", "one": "t", "write_key": "k\n", "salt": "pepper\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

func TestLoadFile(t *testing.T) {
	dir := filesOf(t)
	cfg, err := Load(Source{File: "testdata/everything.yaml", Env: env(map[string]string{"TOKEN_A": "abc", "DIR": dir})})
	require.NoError(t, err)
	requireGolden(t, "everything.json", strings.ReplaceAll(asJSON(t, cfg), dir, "DIR"))
}

func asJSON(t *testing.T, value any) string {
	text, err := json.MarshalIndent(value, "", "  ")
	require.NoError(t, err)
	return string(text) + "\n"
}

func requireGolden(t *testing.T, name, got string) {
	require.Equal(t, casefile.Text(t, filepath.Join("testdata", name)), got)
}

// Each mistake is named with its place, once, and none shows a secret; warnings are named,
// and what flags, variables and a file say is the same as what one file would say.
func TestLoad(t *testing.T) {
	text := casefile.Text(t, "testdata/cases.yaml")
	var cases []struct {
		Name, File, Path, As string
		Env, Flags           map[string]string
		Want, Warnings       []string
	}
	require.NoError(t, yaml.Unmarshal([]byte(text), &cases))
	dir := filesOf(t)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			variables := map[string]string{"DIR": dir}
			for name, value := range c.Env {
				variables[name] = strings.ReplaceAll(value, "${DIR}", dir)
			}
			src := Source{File: c.Path, Env: env(variables), Flags: c.Flags}
			if c.File != "" {
				src.File = casefile.Temp(t, "bridge.yaml", c.File)
			}
			cfg, err := Load(src)
			if c.Want == nil {
				require.NoError(t, err)
				require.Equal(t, c.Warnings, cfg.Warnings())
				if c.As != "" {
					want, err := Load(Source{File: casefile.Temp(t, "bridge.yaml", c.As)})
					require.NoError(t, err)
					require.Equal(t, want, cfg)
				}
				return
			}
			var wrong *Error
			require.ErrorAs(t, err, &wrong)
			for _, secret := range []string{"s3cret", "sec ret", "sec-ret"} {
				require.NotContains(t, err.Error(), secret)
			}
			var got []string
			for _, m := range wrong.Mistakes {
				got = append(got, strings.NewReplacer(filepath.Dir(src.File)+"/bridge", "bridge", dir+"/", "").Replace(m.String()))
			}
			require.Len(t, got, len(c.Want), "%s", strings.Join(got, "\n"))
			for i := range got {
				require.True(t, strings.HasPrefix(got[i], c.Want[i]), "got  %s\nwant %s", got[i], c.Want[i])
			}
		})
	}
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

func TestHosts(t *testing.T) {
	for address, want := range map[string]bool{"[::1]:1": true, "localhost:1": true, "127.9.9.9:1": true,
		":1": false, "[::]:1": false, "10.0.0.1:1": false, "bridge:1": false, "1": false} {
		require.Equal(t, want, loopback(address), address)
	}
	for host, want := range map[string]bool{"r.example.com": true, "8.8.8.8": true, "2001:4860::1": true, "RudderStack.IO.": true,
		"127.0.0.1": false, "10.1.2.3": false, "192.168.0.1": false, "::1": false, "fd00::1": false, "rudder": false, "localhost": false,
		"rudder.prod.svc.cluster.local": false, "host.docker.internal": false, "nas.local": false} {
		require.Equal(t, want, public(host), host)
	}
}

// A file cannot have NaN, but a Config that a program makes can.
func TestNaNIsRefused(t *testing.T) {
	cfg := valid()
	cfg.Connectors[0].RequestsPerSecond = math.NaN()
	require.ErrorContains(t, cfg.Check(), "connectors[0].requests_per_second: must be between 0.01 and 100000, or 0, which is no limit, not NaN")
}
