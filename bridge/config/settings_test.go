package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// alterEach gives each setting in v another value, calls check with its key, and
// gives it back the one that it had. It returns how many there are.
func alterEach(v reflect.Value, check func(key string)) (count int) {
	for _, f := range fieldsOf(v.Type()) {
		field := v.Field(f.index)
		if field.Kind() == reflect.Struct {
			count += alterEach(field, check)
			continue
		}
		was := reflect.New(field.Type()).Elem()
		was.Set(field)
		switch field.Kind() {
		case reflect.String:
			field.SetString("x")
		case reflect.Int, reflect.Int64:
			field.SetInt(field.Int() + 1)
		case reflect.Float64:
			field.SetFloat(7)
		case reflect.Bool:
			field.SetBool(!field.Bool())
		case reflect.Slice:
			field.Set(reflect.MakeSlice(field.Type(), 1, 1))
		case reflect.Map:
			field.Set(reflect.MakeMap(field.Type()))
		case reflect.Pointer:
			field.Set(reflect.New(field.Type().Elem()))
		}
		check(f.key)
		count++
		field.Set(was)
	}
	return count
}

// Each setting that differs is named once when it is reloaded, and nothing else.
func TestEverySettingIsCompared(t *testing.T) {
	cfg, connector := Default(), DefaultConnector()
	count := alterEach(reflect.ValueOf(&cfg).Elem(), func(key string) {
		changed := Changes(Default(), cfg)
		if key == "connectors" {
			require.Empty(t, changed)
			return
		}
		require.Len(t, changed, 1, key)
		require.Contains(t, changed[0].Key, key)
		require.Contains(t, []Effect{Restart, Reload}, changed[0].Effect, key)
	})
	count += alterEach(reflect.ValueOf(&connector).Elem(), func(key string) {
		changed := DefaultConnector().Changes(connector)
		if key == "name" {
			require.Empty(t, changed)
			return
		}
		require.Len(t, changed, 1, key)
		require.Contains(t, changed[0].Key, strings.TrimSuffix(key, "*"))
	})
	require.Greater(t, count, 50)
	require.Equal(t, []Change{{"retain.age", Restart}, {"tls.cert", Restart}, {"admin_token", Reload}}, func() []Change {
		next := Default()
		next.Retain.Age, next.TLS.Cert, next.AdminToken = 0, "x", "t"
		changed := Changes(Default(), next)
		return []Change{changed[2], changed[0], changed[1]}
	}())
}

// What the tags say can be read: each default is within its bounds, each word,
// bound and help is there, and no two settings share a flag.
func TestTagsAreGood(t *testing.T) {
	cfg := valid()
	require.NoError(t, cfg.Check())
	require.Equal(t, []string(nil), cfg.Warnings(), "defaults give none")
	flags := map[string]bool{}
	for _, s := range Settings() {
		require.NotEmpty(t, s.Help, s.Key)
		if s.Flag == "" {
			continue
		}
		require.False(t, flags[s.Flag], s.Flag)
		flags[s.Flag] = true
		require.Equal(t, "BRIDGE_"+strings.ToUpper(strings.ReplaceAll(s.Flag, "-", "_")), s.Env)
		require.True(t, s.Bool || s.Value != "", s.Flag)
	}
	for _, flag := range []string{"listen", "queue", "queue-password-file", "retain-age", "braze-token", "braze-token-file", "rudder-url",
		"glossary", "give-up-after", "pii", "pii-unknown", "names", "filter-deny", "open"} {
		require.True(t, flags[flag], flag)
	}
	for _, flag := range []string{"name", "tokens", "braze-tokens", "names-TYPE", "pii-fields", "queue-url"} {
		require.False(t, flags[flag], flag)
	}
}
