package mapping_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
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
	for _, tt := range casefile.Read(t, "testdata/options.tsv", 3) {
		opts := mapping.Options{Glossary: glossary(t)}
		require.NoError(t, json.Unmarshal([]byte(tt[2]), &opts), tt[0])
		m, err := mapping.New(opts)
		require.Equal(t, tt[1], strings.Join(optionsOf(t, err), " "), tt[0])
		require.Equal(t, err == nil, m != nil, tt[0])
	}
	_, err := mapping.New(mapping.Options{Names: mapping.Names{Map: map[string]string{"a": "\xff"}}})
	require.Equal(t, []string{"names.map.a"}, optionsOf(t, err))
}
