package config

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/mapping"
)

func TestWarnings(t *testing.T) {
	const c = "connector default: "
	for name, tt := range map[string]struct {
		change func(*Config, *Connector)
		want   []string
	}{
		"all is well": {func(*Config, *Connector) {}, nil},
		"names that are known": {func(_ *Config, c *Connector) {
			c.Filter.Allow = []string{"users.*", "users.messages.email.Open", "*", "users.messages.[es]*"}
			c.Filter.AllowProperties = map[string][]string{"app_id": {"a"}, "custom_properties.whatever": {"b"}}
			c.PII.Fields = map[string]mapping.Action{"email_address": "keep", "user.external_user_id": "keep", "id": "keep", "custom_properties.x": "keep"}
			c.Names.Map = map[string]string{"users.messages.*": "Message *", "users.behaviors.CustomEvent": "Custom"}
		}, nil},
		"typos": {func(_ *Config, c *Connector) {
			c.Filter.Allow = []string{"users.message.email.*"}
			c.Filter.Deny = []string{"users.messages.email.Opne", "zzz"}
			c.Names.Map = map[string]string{"users.behaviours.CustomEvent": "Custom"}
			c.Filter.DenyProperties = map[string][]string{"app-id": {"a"}}
			c.PII.Fields = map[string]mapping.Action{"email_adress": "keep", "user.external_userid": "keep"}
		}, []string{
			c + "filter.allow[0]: the glossary has no event type users.message.email.*; did you mean users.messages.email.*?",
			c + "filter.deny[0]: the glossary has no event type users.messages.email.Opne; did you mean users.messages.email.Open?",
			c + "filter.deny[1]: the glossary has no event type zzz",
			c + "names: the glossary has no event type users.behaviours.CustomEvent; did you mean users.behaviors.CustomEvent?",
			c + "filter.deny_properties: the glossary has no field app-id; did you mean app_id?",
			c + "pii.fields: the glossary has no field email_adress; did you mean email_address?",
			c + "pii.fields: the glossary has no field user.external_userid; did you mean user.external_user_id?",
		}},
		"unencrypted": {func(_ *Config, c *Connector) { c.RudderURL = "http://example.dataplane.rudderstack.com/x" },
			[]string{c + "rudder_url: http:// sends events and the write key unencrypted to example.dataplane.rudderstack.com; use https://"}},
		"open": {func(_ *Config, c *Connector) { c.Open, c.Tokens = true, nil }, []string{c + "takes events from anyone"}},
		"the admin address": {func(cfg *Config, _ *Connector) { cfg.Admin = "0.0.0.0:9090" },
			[]string{"admin: 0.0.0.0:9090 can be reached from other machines and needs no token; set admin_token, or listen on 127.0.0.1"}},
		"the admin address with a token": {func(cfg *Config, _ *Connector) { cfg.Admin, cfg.AdminToken = "0.0.0.0:9090", "t" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := valid()
			tt.change(&cfg, &cfg.Connectors[0])
			require.NoError(t, cfg.Check())
			require.Equal(t, tt.want, cfg.Warnings())
		})
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
