package cli

import (
	"github.com/spf13/cobra"
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
