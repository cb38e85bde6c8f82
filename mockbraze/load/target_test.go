package load

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPrivateAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1": true, "127.8.9.1": true, "::1": true, "0.0.0.0": true, "10.1.2.3": true, "172.16.0.1": true,
		"172.31.255.255": true, "192.168.1.1": true, "169.254.1.1": true, "fe80::1": true, "fd00::1": true, "::ffff:10.0.0.1": true,
		"8.8.8.8": false, "172.32.0.1": false, "192.169.0.1": false, "2001:db8::1": false, "::ffff:8.8.8.8": false, "100.64.0.1": false,
	} {
		require.Equal(t, want, private(netip.MustParseAddr(address)), address)
	}
}

func TestPublicTargetsAreRefused(t *testing.T) {
	for _, host := range []string{"8.8.8.8", "[2001:db8::1]:8080"} {
		run, err := New(Config{URL: "http://" + host + "/currents?writeKey=sEcReT", Pacer: Constant(1), Events: 1})
		require.NoError(t, err)
		_, err = run.Do(t.Context())
		var public *PublicTargetError
		require.ErrorAs(t, err, &public)
		require.ErrorContains(t, err, "--yes-i-own-this-target")
		require.NotContains(t, err.Error(), "sEcReT")
	}
	// A name that turns to a public address later is refused by the connection.
	_, err := dialer(false)(t.Context(), "tcp", "8.8.8.8:80")
	var public *PublicTargetError
	require.ErrorAs(t, err, &public)
	require.Equal(t, "public address", failureOf(err))
}

// With the flag the connection is tried: a context that is over shows that the
// address was not what stopped it.
func TestPublicTargetsAreAllowedByTheFlag(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := dialer(true)(ctx, "tcp", "192.0.2.1:80")
	require.Error(t, err)
	require.NotErrorAs(t, err, new(*PublicTargetError))

	run, err := New(Config{URL: "http://192.0.2.1/currents", Pacer: Constant(1), Events: 1, PublicTarget: true})
	require.NoError(t, err)
	report, err := run.Do(ctx)
	require.NoError(t, err, "refused only for its address")
	require.True(t, report.Interrupted)
	require.Zero(t, report.Events.Sent)
}

func TestMistakesAreNamed(t *testing.T) {
	good := Config{URL: "http://127.0.0.1/currents", Pacer: Constant(1)}
	for want, change := range map[string]func(*Config){
		"a rate is needed":      func(c *Config) { c.Pacer = nil },
		"negative":              func(c *Config) { c.Duration = -1 },
		"--max-duration":        func(c *Config) { c.Duration = 2 * time.Hour },
		"96h":                   func(c *Config) { c.MaxDuration = 1000 * time.Hour },
		"1 to 100":              func(c *Config) { c.Batch = 101 },
		"connections":           func(c *Config) { c.Connections = -1 },
		"time-out":              func(c *Config) { c.Timeout = -1 },
		"leaves nothing":        func(c *Config) { c.WarmUp = time.Minute },
		"only with --verify":    func(c *Config) { c.Thresholds = conditions(t, "lost==0") },
		"late or dropped":       func(c *Config) { c.Pacer, c.Thresholds = Max{}, conditions(t, "late<1%") },
		"abort condition":       func(c *Config) { c.AbortOn = conditions(t, "dropped>1") },
		"read as a URL":         func(c *Config) { c.URL = "http://[sEcReT" },
		"http:// or https://":   func(c *Config) { c.URL = "ftp://x" },
		`"users.nothing.*"`:     func(c *Config) { c.Types = []string{"users.nothing.*"} },
		"the address to verify": func(c *Config) { c.Verify = "mockrudder" },
	} {
		c := good
		change(&c)
		_, err := New(c)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "sEcReT")
	}
	run, err := New(good)
	require.NoError(t, err)
	require.NotZero(t, run.Seed())
	require.Equal(t, DefaultDuration, run.end)
	other, err := New(good)
	require.NoError(t, err)
	require.NotEqual(t, run.Seed(), other.Seed(), "a random one each time")
}

// Neither a write key nor a token is in what a run tells, also where it fails.
func TestSecretsStayOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{
			URL: "http://user:sEcReT@target/v1/webhook?writeKey=sEcReT#sEcReT", Token: "sEcReT", Pacer: Constant(100), Duration: 3 * time.Second, Seed: 1,
			Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no way") },
		}
		r := do(t, cfg)
		require.EqualValues(t, 300, r.Events.Failed)
		require.Equal(t, "http://target/v1/webhook", r.Target)
		var out bytes.Buffer
		require.NoError(t, r.WriteText(&out))
		require.NoError(t, r.WriteJSON(&out))
		require.NoError(t, r.WriteHTML(&out))
		require.NotContains(t, out.String(), "sEcReT")
	})
}

// A body is used again only once the transport has closed it.
func TestBodiesAreNotChangedWhileTheyAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusRequestEntityTooLarge) // without reading
		}, Constant(2000), 5*time.Second)
		r := do(t, cfg)
		require.EqualValues(t, 10_000, r.Events.Sent)
		require.Equal(t, r.Events.Sent, r.Events.Refused+r.Events.Failed)
	})
}
