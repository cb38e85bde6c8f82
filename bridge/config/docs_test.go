package config

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the tables in docs/operations.md instead of only comparing them")

// TestSettingsAreDocumented compares the tables of settings in docs/operations.md
// with those that the tags make. With -update it writes them.
func TestSettingsAreDocumented(t *testing.T) {
	const path, end = "../../docs/operations.md", "<!-- end of the settings -->\n"
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	text := string(page)
	for name, connector := range map[string]bool{"bridge": false, "connector": true} {
		begin := "<!-- settings of the " + name + ", made by make generate -->\n"
		before, rest, found := strings.Cut(text, begin)
		require.True(t, found)
		_, after, found := strings.Cut(rest, end)
		require.True(t, found)
		text = before + begin + table(connector) + end + after
	}
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return
	}
	require.Equal(t, text, string(page), "run make generate")
}

// table is the table of settings in docs/operations.md, in Markdown: those of
// the bridge, or those of a connector.
func table(connector bool) string {
	var b strings.Builder
	b.WriteString("| key | default | changes with | meaning |\n| --- | --- | --- | --- |\n")
	all := Settings()
	for i, s := range all {
		if s.connector != connector || i > 0 && s.same(all[i-1]) {
			continue // another key of the same setting
		}
		var keys []string
		for _, other := range all[i:] {
			if s.same(other) {
				keys = append(keys, "`"+strings.TrimPrefix(other.Key, "braze_")+"`")
			}
		}
		effect := "reload"
		if s.leaf.effect == Restart {
			effect = "restart"
		}
		cells := []string{strings.Join(keys, ", "), s.defaultText(), effect, s.meaning()}
		for j := range cells {
			cells[j] = strings.ReplaceAll(cells[j], "|", `\|`)
		}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	return b.String()
}

func (s Setting) defaultText() string {
	switch unset, zero := s.leaf.Get("unset"), s.leaf.Get("zero"); {
	case s.Default != "":
		return "`" + s.Default + "`"
	case zero != "":
		return "0, " + zero
	case unset != "":
		return quoted.ReplaceAllString(unset, "$1`$2`")
	}
	return ""
}

func (s Setting) meaning() string {
	text := quoted.ReplaceAllString(s.Help, "$1`$2`")
	if words := s.leaf.Get("oneof"); words != "" && !strings.Contains(s.Help, "'"+words[strings.LastIndexByte(words, '|')+1:]+"'") {
		text += ": `" + strings.ReplaceAll(words, "|", "`, `") + "`"
	}
	if low := s.leaf.Get("min"); low != "" {
		text += "; " + low + " to " + s.leaf.Get("max")
		if zero := s.leaf.Get("zero"); zero != "" && s.Default != "" {
			text += ", or 0: " + zero
		}
	}
	return text
}
