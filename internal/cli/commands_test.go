package cli

import (
	"bytes"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

func TestUnknownCommands(t *testing.T) {
	none := func(*cobra.Command, []string) {}
	for _, tt := range []struct {
		args []string
		code int
		err  string
	}{
		{[]string{"grup"}, 1, "error: unknown command \"grup\" for \"x\"\n\nDid you mean this?\n\tgroup\n\n"},
		{[]string{"group", "lst"}, 1, "error: unknown command \"lst\" for \"x group\"; did you mean list?\n"},
		{[]string{"group", "nonsense"}, 1, "error: unknown command \"nonsense\" for \"x group\"\n"},
		{[]string{"both", "lst"}, 1, "error: unknown command \"lst\" for \"x both\"; did you mean list?\n"},
		{[]string{"both"}, 0, ""},
		{[]string{"both", "list"}, 0, ""},
		{[]string{"word", "lst"}, 0, ""}, // its own word
		{[]string{"help", "group", "lst"}, 1, "error: unknown command \"lst\" for \"x group\"; did you mean list?\n"},
		{[]string{"help", "nonsense"}, 1, "error: unknown command \"nonsense\" for \"x\"\n"},
		{[]string{"help", "group", "list"}, 0, ""},
		{[]string{"group"}, 0, ""},
	} {
		root := &cobra.Command{Use: "x"}
		for _, parent := range []*cobra.Command{{Use: "group"}, {Use: "both", Run: none, Args: cobra.NoArgs}, {Use: "word", Run: none, Args: cobra.MaximumNArgs(1)}} {
			parent.AddCommand(&cobra.Command{Use: "list", Run: none, Args: cobra.NoArgs})
			root.AddCommand(parent)
		}
		var stdout, stderr bytes.Buffer
		root.SetOut(&stdout)
		root.SetArgs(tt.args)
		require.Equal(t, tt.code, run(t.Context(), root, nil, &stderr), tt.args)
		require.Equal(t, tt.err, stderr.String(), tt.args)
		if tt.code != 0 {
			require.Empty(t, stdout.String(), tt.args)
		}
	}
}
