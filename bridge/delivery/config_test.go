package delivery

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
)

func goodConfig() Config {
	c := Config{Connector: config.DefaultConnector(), Queue: newMemQueue(), Mapper: testMapper{}}
	c.RudderURL, c.WriteKey = "https://rudder.test", "wk"
	return c
}

func TestConfigDefaults(t *testing.T) {
	webhook := goodConfig()
	webhook.Mode = Webhook
	require.Less(t, float64(webhook.withDefaults().MaxBody)*1.14, 4_096_000.0, "what the Braze source makes of it fits too")
	require.LessOrEqual(t, max(webhook.Timeout, webhook.Backoff.Max), 25*time.Second, "resumes within 30 seconds")
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
		c.RudderURL = base
		r, _, err := c.requests()
		require.NoError(t, err, base)
		require.Equal(t, want, r.URL.RequestURI(), base)
	}
	c := goodConfig()
	c.Mode, c.WriteKey = Webhook, "a b&c=d"
	r, _, err := c.requests()
	require.NoError(t, err)
	require.Equal(t, "/v1/webhook?writeKey=a+b%26c%3Dd", r.URL.RequestURI())
	c.RudderURL = "http://rudder\x7f.test/hidden"
	_, err = New(c)
	require.ErrorContains(t, err, "cannot be parsed")
	require.NotContains(t, err.Error(), "hidden")
}
