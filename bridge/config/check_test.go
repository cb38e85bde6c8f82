package config

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Each limit is refused just below what makes sense, and taken from there on.
func TestSenselessLimits(t *testing.T) {
	set := func(change func(*Config, *Connector)) error {
		cfg := valid()
		change(&cfg, &cfg.Connectors[0])
		return cfg.Check()
	}
	tests := []struct {
		key, says string
		low, high func(*Config, *Connector)
	}{
		{"max_body", "must be between 1MiB and 1GiB, not 1",
			func(c *Config, _ *Connector) { c.MaxBody = 1 }, func(c *Config, _ *Connector) { c.MaxBody = 1 << 20 }},
		{"max_body", "not 1048575",
			func(c *Config, _ *Connector) { c.MaxBody = 1<<20 - 1 }, func(c *Config, _ *Connector) { c.MaxBody = 1 << 30 }},
		{"queue.max_size", "must be between 16MiB and ",
			func(c *Config, _ *Connector) { c.Queue.MaxSize = 50 }, func(c *Config, _ *Connector) { c.Queue.MaxSize = 16 << 20 }},
		{"queue.max_size", "or 0, which is all there is",
			func(c *Config, _ *Connector) { c.Queue.MaxSize = -1 }, func(c *Config, _ *Connector) { c.Queue.MaxSize = 4096 << 40 }},
		{"retain.size", "or 0, which is no limit, not 20",
			func(c *Config, _ *Connector) { c.Retain.Size = 20 }, func(c *Config, _ *Connector) { c.Retain.Size = 0 }},
		{"scrub_every", "must be between 1s and 8784h, or 0, which is never, not 1ms",
			func(c *Config, _ *Connector) { c.ScrubEvery = time.Millisecond }, func(c *Config, _ *Connector) { c.ScrubEvery = 0 }},
		{"connectors[0].max_body", "must be between 64KiB and 64MiB, or 0, which is what RudderStack takes: 3.5 MB, webhook 3 MB, not 1KiB",
			func(_ *Config, c *Connector) { c.MaxBody = 1 << 10 }, func(_ *Config, c *Connector) { c.MaxBody = 64 << 10 }},
		{"connectors[0].timeout", "must be between 1s and 1h, not 25ms",
			func(_ *Config, c *Connector) { c.Timeout = 25 * time.Millisecond }, func(_ *Config, c *Connector) { c.Timeout = time.Second }},
		{"connectors[0].requests_per_second", "must be between 0.01 and 100000, or 0, which is no limit, not 1e-06",
			func(_ *Config, c *Connector) { c.RequestsPerSecond = 1e-6 }, func(_ *Config, c *Connector) { c.RequestsPerSecond = 0.01 }},
		{"connectors[0].requests_per_second", "not NaN",
			func(_ *Config, c *Connector) { c.RequestsPerSecond = math.NaN() }, func(_ *Config, c *Connector) { c.RequestsPerSecond = 0 }},
	}
	for _, tt := range tests {
		err := set(tt.low)
		require.ErrorContains(t, err, tt.key+": ")
		require.ErrorContains(t, err, tt.says)
		require.NoError(t, set(tt.high), tt.key)
	}
}

// valid is a configuration with nothing wrong.
func valid() Config {
	cfg := Default()
	c := DefaultConnector()
	c.Tokens, c.RudderURL, c.WriteKey = []string{"secret"}, "http://r", "wk"
	cfg.Connectors = []Connector{c}
	return cfg
}
