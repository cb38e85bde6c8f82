package schemas

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is cheap to send must not be dear to judge.
func TestDecodeTamesMonstrousNumbers(t *testing.T) {
	sevens := func(n int) string { return strings.Repeat("7", n) }
	for number, want := range map[string]string{
		"7":                                    "7",
		"-1.50":                                "-1.50",
		"9007199254740993":                     "9007199254740993",
		"1e400":                                "1e400",
		"1E-400":                               "1E-400",
		"1e401":                                "1e400",
		"-1.5e+999999":                         "-1.5e400",
		"2E-999999":                            "2E-400",
		"1e99999999999999999999":               "1e400",
		"1e-99999999999999999999":              "1e-400",
		sevens(1000):                           sevens(1000),
		sevens(1001):                           sevens(1000),
		"0." + sevens(5000):                    "0." + sevens(998),
		sevens(999) + ".5":                     sevens(999),
		sevens(998) + "e+5":                    sevens(998),
		sevens(995) + "e-99999":                sevens(995) + "e-400",
		"1e" + strings.Repeat("0", 2000) + "5": "1e" + strings.Repeat("0", 998),
	} {
		require.True(t, json.Valid([]byte(number)))
		doc, err := decode([]byte(`{"a":[` + number + `,{"b":` + number + `}]}`))
		require.NoError(t, err)
		require.Equal(t, map[string]any{"a": []any{
			json.Number(want), map[string]any{"b": json.Number(want)},
		}}, doc)

		doc, err = decode([]byte(number))
		require.NoError(t, err)
		require.Equal(t, json.Number(want), doc)
		require.True(t, json.Valid([]byte(want)))
	}
}
