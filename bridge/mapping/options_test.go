package mapping_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/mapping"
)

// optionsOf returns the options that an error of New names.
func optionsOf(t *testing.T, err error) (names []string) {
	t.Helper()
	if err == nil {
		return nil
	}
	var joined interface{ Unwrap() []error }
	require.ErrorAs(t, err, &joined)
	for _, e := range joined.Unwrap() {
		var option *mapping.OptionError
		require.True(t, errors.As(e, &option), "%v", e)
		require.NotEmpty(t, option.Text)
		require.Equal(t, option.Option+": "+option.Text, option.Error())
		names = append(names, option.Option)
	}
	return names
}

func TestOptionMistakes(t *testing.T) {
	personal := func(fields map[string]mapping.Action) mapping.Options {
		return mapping.Options{Personal: mapping.Personal{Fields: fields, Salt: []byte("s")}}
	}
	names := func(from, to string) mapping.Options {
		return mapping.Options{Names: mapping.Names{Map: map[string]string{from: to}}}
	}
	filter := func(f mapping.Filter) mapping.Options { return mapping.Options{Filter: f} }
	for name, tt := range map[string]struct {
		opts mapping.Options
		want []string
	}{
		"nothing":          {mapping.Options{}, nil},
		"webhook":          {mapping.Options{Webhook: true, Filter: mapping.Filter{Deny: []string{"a"}}, Personal: mapping.Personal{Preset: mapping.Drop}}, nil},
		"no type":          {names("", "a"), []string{"names.map."}},
		"star inside":      {names("users.*.Open", "a"), []string{"names.map.users.*.Open"}},
		"two stars":        {names("users.**", "a"), []string{"names.map.users.**"}},
		"star":             {names("*", "a *"), nil},
		"unknown type":     {names("no.such.Type", "a"), nil},
		"blank name":       {names("a", " "), []string{"names.map.a"}},
		"broken name":      {names("a", "\xff"), []string{"names.map.a"}},
		"pattern":          {filter(mapping.Filter{Allow: []string{"a", "[", "b*"}, Deny: []string{"a", "b", `c\`}}), []string{"filter.allow[1]", "filter.deny[2]"}},
		"empty pattern":    {filter(mapping.Filter{Deny: []string{""}}), []string{"filter.deny[0]"}},
		"no property":      {filter(mapping.Filter{AllowProperties: map[string][]string{"": {"a"}}}), []string{"filter.allow_properties"}},
		"no values":        {filter(mapping.Filter{DenyProperties: map[string][]string{"a": nil}}), []string{"filter.deny_properties.a"}},
		"empty value":      {filter(mapping.Filter{DenyProperties: map[string][]string{"unknown": {""}}}), nil},
		"preset":           {mapping.Options{Personal: mapping.Personal{Preset: "hush"}}, []string{"personal.preset"}},
		"hash, no salt":    {mapping.Options{Personal: mapping.Personal{Preset: mapping.Hash}}, []string{"personal.salt"}},
		"a hash, no salt":  {mapping.Options{Personal: mapping.Personal{Fields: map[string]mapping.Action{"a": mapping.Hash}}}, []string{"personal.salt"}},
		"drop, no salt":    {mapping.Options{Personal: mapping.Personal{Preset: mapping.Drop, Fields: map[string]mapping.Action{"a": mapping.Keep}}}, nil},
		"action":           {personal(map[string]mapping.Action{"email_address": "Hash", "b": ""}), []string{"personal.fields.b", "personal.fields.email_address"}},
		"no field":         {personal(map[string]mapping.Action{"": mapping.Drop, "user.": mapping.Drop}), []string{"personal.fields.", "personal.fields.user."}},
		"unknown field":    {personal(map[string]mapping.Action{"what.ever": mapping.Drop, "user.x": mapping.Hash}), nil},
		"event id":         {personal(map[string]mapping.Action{"id": mapping.Drop}), []string{"personal.fields.id"}},
		"both ids":         {personal(map[string]mapping.Action{"user.user_id": mapping.Drop, "user.external_user_id": mapping.Drop}), []string{"personal.fields.user.user_id"}},
		"one id, hash one": {personal(map[string]mapping.Action{"user.user_id": mapping.Drop, "user.external_user_id": mapping.Hash}), nil},
		"everything": {mapping.Options{
			Names:  mapping.Names{Map: map[string]string{"a*b": "a"}},
			Filter: mapping.Filter{Deny: []string{"["}}, Personal: mapping.Personal{Preset: "x", Fields: map[string]mapping.Action{"a": mapping.Hash}},
		}, []string{"names.map.a*b", "filter.deny[0]", "personal.preset", "personal.salt"}},
	} {
		tt.opts.Glossary = glossary(t)
		m, err := mapping.New(tt.opts)
		require.Equal(t, tt.want, optionsOf(t, err), name)
		require.Equal(t, err == nil, m != nil, name)
	}
}
