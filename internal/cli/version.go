package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/schemas"
)

// addVersion gives a program the command version and the flag --version, which
// name the build and the glossary that is built in.
func addVersion(root *cobra.Command) {
	root.Version = Version() + ", glossary of " + schemas.Release()
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.AddCommand(&cobra.Command{
		Use:     "version",
		Short:   "Print the version, and that of the glossary of event types",
		Example: "  " + root.Name() + " version",
		Args:    cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", root.Name(), root.Version)
		},
	})
}

// Version is the module's version, or the commit where it was built from a work
// tree.
func Version() string {
	text, revision := "(devel)", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			text = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value[:min(12, len(s.Value))] + " "
			}
		}
	}
	return fmt.Sprintf("%s %s(%s %s/%s)", text, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
