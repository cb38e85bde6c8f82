package scenario

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

// TestShowPrintsWhatLoadReads also keeps the groups of outcomes together.
func TestShowPrintsWhatLoadReads(t *testing.T) {
	for _, name := range Names() {
		s, err := Builtin(name)
		require.NoError(t, err)
		require.Equal(t, name, s.Name)
		require.NotEmpty(t, s.About)
		text, err := s.YAML()
		require.NoError(t, err)
		again, err := Load(casefile.Temp(t, name+".yaml", string(text)))
		require.NoError(t, err)
		require.Equal(t, s, again)
	}
}

func TestAFileNamesOnlyWhatItChanges(t *testing.T) {
	steady, err := Builtin("steady")
	require.NoError(t, err)
	got, err := Parse("mine.yaml", []byte("outcomes: {email: {open: 40%}}\nusers: 1_000"))
	require.NoError(t, err)
	require.Equal(t, Outcome{400_000, steady.Outcomes["email.open"].After}, got.Outcomes["email.open"])
	require.EqualValues(t, 1000, got.Users)
	require.Equal(t, "mine", got.Name)
	got.Outcomes["email.open"], got.Users, got.Name = steady.Outcomes["email.open"], steady.Users, "steady"
	require.Equal(t, steady, got)

	sale, err := Builtin("flash-sale")
	require.NoError(t, err)
	got, err = Parse("mine.yaml", []byte("base: flash-sale"))
	require.NoError(t, err)
	require.Equal(t, sale.Campaigns, got.Campaigns)
	for _, text := range []string{"", "base:", `base: ""`} {
		empty, err := Parse("steady", []byte(text))
		require.NoError(t, err)
		require.Equal(t, steady, empty)
	}
}

// TestEveryMistakeIsNamedWithItsLine has one mistake a line.
func TestEveryMistakeIsNamedWithItsLine(t *testing.T) {
	_, err := Parse("bad.yaml", []byte(casefile.Text(t, "testdata/bad.yaml")))
	require.EqualError(t, err, strings.TrimSpace(casefile.Text(t, "testdata/bad.txt")))
}

func TestOtherMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"a: [":                             "x.yaml:1: did not find",
		"[]":                               "x.yaml:1: cannot unmarshal",
		"users: 50\nusers: 60":             "x.yaml:2: mapping key",
		"users: 3":                         "x.yaml:1: users: 3 people",
		"base: nowhere":                    `x.yaml: base: there is no scenario "nowhere"`,
		"base: [quiet]":                    "x.yaml:1: cannot unmarshal",
		"share_without_external_id: 0.5%":  "x.yaml:1: share_without_external_id:",
		"field_transformations: {a: mask}": `x.yaml:1: field_transformations: a: "mask"`,
		"users: 50\n---\nusers: 60":        "one YAML document",
		"rough_edges:\n  renames: {every: 3d, for: 2h}":            "x.yaml:2: rough_edges: renames.for",
		"quiet_hours: {channels: [fax]}":                           `x.yaml:1: quiet_hours: "fax" is no channel`,
		"quiet_hours: {from: \"08:00\", to: \"07:00\"}":            "x.yaml:1: quiet_hours: leave less than four",
		"hours: [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]": "not all zero",
	} {
		_, err := Parse("x.yaml", []byte(text))
		require.ErrorContains(t, err, want)
	}
	_, err := Load("stedy")
	require.ErrorContains(t, err, "steady, flash-sale, newsletter, quiet")
	_, err = Load("./missing.yaml")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestValuesAreWrittenAsTheyAreRead(t *testing.T) {
	for _, text := range []string{"0%", "0.0001%", "12%", "99.5%", "100%"} {
		s, err := ParseShare(text)
		require.NoError(t, err)
		require.Equal(t, text, s.String())
	}
	for _, text := range []string{"0s", "90s", "5m..36h", "0s..2d", "400d"} {
		s, err := ParseSpan(text)
		require.NoError(t, err)
		require.Equal(t, text, s.String())
	}
	for _, text := range []string{"", "5", "5%%", "1.%", ".5%", "-1%", "1.23456%", "100.01%"} {
		_, err := ParseShare(text)
		require.Error(t, err, text)
	}
	for _, text := range []string{"", "5", "5x", "-5s", "1h..", "401d", "1.5h"} {
		_, err := ParseSpan(text)
		require.Error(t, err, text)
	}
	c, err := ParseClock("09:05")
	require.NoError(t, err)
	require.Equal(t, "09:05", c.String())
}

// TestTheDocumentationHasEveryRate holds docs/mockbraze-rates.md against the table.
func TestTheDocumentationHasEveryRate(t *testing.T) {
	text := casefile.Text(t, "../../docs/mockbraze-rates.md")
	require.True(t, strings.HasSuffix(text, table), "the page ends with the rows of outcomes.txt")
	for _, start := range KnownStarts() {
		require.Contains(t, text, fmt.Sprintf("| `%s` | %d | %s |\n", start.Name, start.PerHour, start.What))
	}
	page := casefile.Text(t, "../../docs/mockbraze.md")
	for _, name := range Names() {
		require.True(t, strings.Contains(page, "`"+name+"`"), name)
	}
}
