package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Prepare gives a program what all have: the command version and the flag
// --version, an error for an unknown command, with suggestions, and errors that only
// Main prints. Main calls it; tests that run a root command themselves do too.
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
		switch {
		case !cmd.HasSubCommands():
		case !cmd.Runnable():
			cmd.DisableFlagsInUseLine = true
			cmd.Args, cmd.RunE = noCommand, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		case cmd.Args != nil && cmd.Args(cmd, []string{"x"}) != nil: // it takes no words of its own
			cmd.Args = noCommand
		}
	}
}

func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	text := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return errors.New(text)
}

// helpFor prints the help of the command that args name.
func helpFor(cmd *cobra.Command, args []string) error {
	about, rest, err := cmd.Root().Find(args)
	if err != nil {
		return err
	}
	if about.HasSubCommands() {
		if err := noCommand(about, rest); err != nil {
			return err
		}
	}
	about.InitDefaultHelpFlag()
	return about.Help()
}
