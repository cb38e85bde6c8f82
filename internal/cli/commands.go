package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/schemas"
)

// Prepare gives a program what all have: the command version and the flag
// --version, an error for an unknown command, and errors that only Main prints. Main
// calls it; tests that run a root command themselves do too.
func Prepare(root *cobra.Command) {
	root.SilenceErrors, root.SilenceUsage = true, true
	addVersion(root)
	refuseUnknown(root)
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "help" {
			cmd.Run, cmd.RunE = nil, helpFor
		}
	}
}

// refuseUnknown makes an unknown command below a group an error. Cobra does so
// for the root alone; a group prints its help otherwise, and exits 0.
func refuseUnknown(group *cobra.Command) {
	for _, cmd := range group.Commands() {
		refuseUnknown(cmd)
		if cmd.HasSubCommands() && !cmd.Runnable() {
			cmd.DisableFlagsInUseLine = true
			cmd.Args, cmd.RunE = cobra.NoArgs, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

// helpFor prints the help of the command that args name.
func helpFor(cmd *cobra.Command, args []string) error {
	about, rest, err := cmd.Root().Find(args)
	if err == nil && about.HasSubCommands() {
		err = cobra.NoArgs(about, rest)
	}
	if err != nil {
		return err
	}
	about.InitDefaultHelpFlag()
	return about.Help()
}

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
