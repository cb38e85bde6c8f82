package delivery

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func goodConfig() Config {
	return Config{Queue: newMemQueue(), Mapper: testMapper{}, URL: "https://rudder.test", WriteKey: "wk"}
}

func TestConfigDefaults(t *testing.T) {
	c, err := goodConfig().withDefaults()
	require.NoError(t, err)
	require.Equal(t, Events, c.Mode)
	require.Equal(t, 4, c.Concurrency)
	require.Equal(t, 1000, c.MaxEvents)
	require.Equal(t, 3_500_000, c.MaxBody)
	webhook := goodConfig()
	webhook.Mode = Webhook
	webhook, err = webhook.withDefaults()
	require.NoError(t, err)
	require.Less(t, float64(webhook.MaxBody)*1.14, 4_096_000.0, "what the Braze source makes of it fits too")
	require.LessOrEqual(t, max(c.Timeout, c.MaxBackoff), 25*time.Second, "resumes within 30 seconds")
}

func TestConfigMistakesAreAllNamed(t *testing.T) {
	_, err := New(Config{Mode: "both", Concurrency: -1, MaxEvents: -1, MaxBody: -1,
		Gzip: "maybe", RequestsPerSecond: -1, Timeout: -1, MinBackoff: time.Minute, MaxBackoff: time.Second, GiveUpAfter: -1, ConnectionMaxAge: -1})
	for _, words := range []string{
		"no queue", `mode "both"`, "no write key", "concurrency, events or bytes a request",
		`gzip "maybe"`, "requests a second",
		"timeout, give-up time or a connection's age", "backoff from 1m0s to 1s", "URL is not",
	} {
		require.ErrorContains(t, err, words)
	}
	c := goodConfig()
	for _, c.Mode = range []Mode{Events, Webhook} {
		c.Mapper = nil
		_, err = New(c)
		require.EqualError(t, err, "delivery: no mapper")
		c.Mapper = testMapper{}
		_, err = New(c)
		require.NoError(t, err)
	}
	for _, c.RequestsPerSecond = range []float64{-1, math.NaN(), math.Inf(1)} {
		_, err = New(c)
		require.ErrorContains(t, err, "requests a second")
	}
	c.WriteKey = "a:b"
	_, err = New(c)
	require.ErrorContains(t, err, "colon")
}

func TestConfigURL(t *testing.T) {
	for base, want := range map[string]string{
		"http://rudder.test":           "/v1/batch",
		"http://rudder.test/":          "/v1/batch",
		"https://rudder.test:8443//":   "/v1/batch",
		"https://rudder.test/data/":    "/data/v1/batch",
		"https://rudder.test/a%2Fb//c": "/a%2Fb/c/v1/batch",
	} {
		c := goodConfig()
		c.URL = base
		r, _, err := c.requests()
		require.NoError(t, err, base)
		require.Equal(t, want, r.URL.RequestURI(), base)
	}
	for _, bad := range []string{
		"", "rudder.test", "ftp://rudder.test?writeKey=hidden", "http://", "http://u:hidden@rudder.test", "http://rudder.test?writeKey=hidden",
		"http://rudder.test#x", "http://u:hidden@rudder.test:x", "http://rudder\x7f.test/hidden",
	} {
		c := goodConfig()
		c.URL = bad
		_, err := New(c)
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "hidden")
	}
}

func TestWebhookWriteKeyIsEscaped(t *testing.T) {
	c := goodConfig()
	c.Mode, c.WriteKey = Webhook, "a b&c=d"
	r, _, err := c.requests()
	require.NoError(t, err)
	require.Equal(t, "/v1/webhook?writeKey=a+b%26c%3Dd", r.URL.RequestURI())
}
