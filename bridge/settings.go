package bridge

import (
	"reflect"
	"slices"
	"strings"
)

// setting is something of a configuration that can be changed.
type setting struct {
	key   string
	value any
	kind  settingKind
}

// settingKind says what it takes to change a setting.
type settingKind int

const (
	takes    settingKind = iota // intake holds to it from the next request on
	delivers                    // a new sender holds to it
	restarts                    // only a restart changes it
)

// settings lists a connector's settings but its name.
func (c Connector) settings() []setting {
	return []setting{
		{"tokens", c.Tokens, takes},
		{"open", c.Open, takes},
		{"mode", c.Mode, delivers}, // and intake, which is told of all
		{"rudder_url", c.RudderURL, delivers},
		{"write_key", c.WriteKey, delivers},
		{"missing_external_user_id", c.MissingExternalUserID, takes},
		{"filter", c.Filter, delivers},
		{"pii", c.Personal, delivers},
		{"names", c.Names, delivers},
		{"profile_updates", c.Identify, delivers},
		{"user_orphan", c.Alias, delivers},
		{"dedupe_window", c.DedupeWindow, restarts},
		{"concurrency", c.Concurrency, delivers},
		{"batch_events", c.BatchEvents, delivers},
		{"max_body", c.MaxBody, delivers},
		{"requests_per_second", c.RequestsPerSecond, delivers},
		{"gzip", c.Gzip, delivers},
		{"ca_file", c.CAFile, delivers},
		{"timeout", c.Timeout, delivers},
		{"backoff", c.Backoff, delivers},
	}
}

// settings lists what is not of a connector.
func (c Config) settings() []setting {
	return []setting{
		{"listen", c.Listen, restarts},
		{"tls", c.TLS, restarts},
		{"admin", c.Admin, restarts},
		{"admin_token", c.AdminToken, takes},
		{"admin_hosts", c.AdminHosts, takes},
		{"data_dir", c.DataDir, restarts},
		{"queue", c.Queue, restarts},
		{"retain", c.Retain, restarts},
		{"scrub_every", c.ScrubEvery, restarts},
		{"max_body", c.MaxBody, restarts},
		{"max_requests", c.MaxRequests, restarts},
		{"max_connections", c.MaxConnections, restarts},
		{"grace", c.Grace, restarts},
		{"log", c.Log, restarts},
	}
}

// changes lists the settings of after that are not as before.
func changes[T interface{ settings() []setting }](before, after T) []setting {
	was := before.settings()
	var changed []setting
	for i, now := range after.settings() {
		if !reflect.DeepEqual(was[i].value, now.value) {
			changed = append(changed, now)
		}
	}
	return changed
}

func anyOf(all []setting, kind settingKind) bool {
	return slices.ContainsFunc(all, func(s setting) bool { return s.kind == kind })
}

// keysOf lists the keys of settings, and never their values.
func keysOf(all []setting) string {
	keys := make([]string, len(all))
	for i, s := range all {
		keys[i] = s.key
	}
	return strings.Join(keys, ", ")
}
