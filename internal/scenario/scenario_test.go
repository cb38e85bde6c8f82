package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestShowPrintsWhatLoadReads also keeps the groups of outcomes together.
func TestShowPrintsWhatLoadReads(t *testing.T) {
	for _, name := range Names() {
		s, err := Builtin(name)
		require.NoError(t, err)
		require.Equal(t, name, s.Name)
		require.NotEmpty(t, s.About)
		path := filepath.Join(t.TempDir(), name+".yaml")
		require.NoError(t, os.WriteFile(path, s.YAML(), 0o600))
		again, err := Load(path)
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
	empty, err := Parse("steady", nil)
	require.NoError(t, err)
	require.Equal(t, steady, empty)
}

// TestEveryMistakeIsNamedWithItsLine has one mistake a line.
func TestEveryMistakeIsNamedWithItsLine(t *testing.T) {
	const text = `base: nowhere
users: 3
share_without_external_id: 0.5%
pace: fast
hours: [1, 2, 3]
conversion_window: 3 weeks
quiet_hours: {from: "25:00"}
starts: {sesions: 5}
outcomes: {email: {opened: 5%}}
outcomes: {}
campaigns:
  - {channel: fax, per_hour: 5}
  - {per_hour: 5}
  - {channel: email, per_hour: 5, every: 1d}
  - {channel: email, every: 5h}
  - {channel: email, every: 1d, over: 2s}
  - {channel: email, per_hour: 5, audience: 5%}
  - {channel: email, every: 1d, local: maybe}
  - 7
rough_edges:
  repeats: {share: 101%}
  late: {after: 5m..1m}
  drift:
  huge: 0.00001%
  renames: {every: 500d}
color: red
`
	_, err := Parse("bad.yaml", []byte(text))
	var mistakes *MistakesError
	require.ErrorAs(t, err, &mistakes)
	lines := strings.Split(err.Error(), "\n")
	wants := []string{
		`bad.yaml:1: base: there is no scenario "nowhere"`, "bad.yaml:2: users: 3 people", "bad.yaml:3: share_without_external_id:",
		`bad.yaml:4: pace: "fast" is no share`, "bad.yaml:5: hours: must be 24 weights", "bad.yaml:6: conversion_window:",
		"bad.yaml:7: quiet_hours.from:", "bad.yaml:8: starts.sesions: is not known here", "bad.yaml:9: outcomes.email.opened: is not known",
		"bad.yaml:10: outcomes: is written twice", `bad.yaml:12: campaigns[0].channel: "fax"`, "bad.yaml:13: campaigns[1]: needs a channel",
		"bad.yaml:14: campaigns[2]: has both", "bad.yaml:15: campaigns[3].every: must be whole days", "bad.yaml:16: campaigns[4].over:",
		"bad.yaml:17: campaigns[5].audience: needs every", "bad.yaml:18: campaigns[6].local:", "bad.yaml:19: campaigns[7]: must be a map",
		"bad.yaml:21: rough_edges.repeats.share:", "bad.yaml:22: rough_edges.late.after:", "bad.yaml:23: rough_edges.drift: must have one value",
		"bad.yaml:24: rough_edges.huge:", "bad.yaml:25: rough_edges.renames.every:", "bad.yaml:26: color: is not known",
	}
	require.Len(t, lines, len(wants), "%s", err)
	for i, want := range wants {
		require.True(t, strings.HasPrefix(lines[i], want), "want %s\ngot  %s", want, lines[i])
	}
}

func TestOtherMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"a: [":                      "x.yaml:1: is not YAML",
		"[]":                        "x.yaml:1: must be a map",
		"users: 50\n---\nusers: 60": "one YAML document",
		"rough_edges:\n  renames: {every: 3d, for: 2h}":            "x.yaml:2: rough_edges.renames.for",
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

func TestNamesAreThereOnce(t *testing.T) {
	seen := make(map[string]bool)
	group := ""
	for _, k := range KnownOutcomes() {
		require.False(t, seen[k.Name], k.Name)
		seen[k.Name] = true
		first, _, _ := strings.Cut(k.Name, ".")
		if first != group {
			require.False(t, seen[first+" begun"], "the group %s is written twice", first)
			seen[first+" begun"], group = true, first
		}
		require.NotEmpty(t, k.Source)
		require.LessOrEqual(t, k.After.Min, k.After.Max)
	}
}

// TestTheDocumentationHasEveryRate holds docs/mockbraze-rates.md against the table.
func TestTheDocumentationHasEveryRate(t *testing.T) {
	text, err := os.ReadFile("../../docs/mockbraze-rates.md")
	require.NoError(t, err)
	for _, k := range KnownOutcomes() {
		star := ""
		if strings.Contains(k.Source, "industry averages") {
			star = "*"
		}
		row := fmt.Sprintf("| `%s` | %s → %s | %s%s | %s |\n", k.Name, k.From, k.To, k.Share, star, k.After)
		require.True(t, strings.Contains(string(text), row), row)
	}
	for _, start := range KnownStarts() {
		require.Contains(t, string(text), fmt.Sprintf("| `%s` | %d | %s |\n", start.Name, start.PerHour, start.What))
	}
	page, err := os.ReadFile("../../docs/mockbraze.md")
	require.NoError(t, err)
	for _, name := range Names() {
		require.True(t, strings.Contains(string(page), "`"+name+"`"), name)
	}
}
