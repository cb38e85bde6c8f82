package cli

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

func TestUnknownCommands(t *testing.T) {
	none := func(*cobra.Command, []string) {}
	for _, row := range casefile.Read(t, "testdata/unknown.txt", 3) {
		root := &cobra.Command{Use: "x"}
		for _, parent := range []*cobra.Command{{Use: "group"}, {Use: "both", Run: none, Args: cobra.NoArgs}, {Use: "word", Run: none, Args: cobra.MaximumNArgs(1)}} {
			parent.AddCommand(&cobra.Command{Use: "list", Run: none, Args: cobra.NoArgs})
			root.AddCommand(parent)
		}
		var stdout, stderr bytes.Buffer
		root.SetOut(&stdout)
		root.SetArgs(strings.Fields(row[0]))
		code := run(t.Context(), root, nil, &stderr)
		require.Equal(t, row[1:], []string{strconv.Itoa(code), strings.ReplaceAll(stderr.String(), "\t", "→")}, row[0])
		if code != 0 {
			require.Empty(t, stdout.String(), row[0])
		}
	}
}
