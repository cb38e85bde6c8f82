package cli

import (
	"fmt"
	"io/fs"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/schemas"
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

// Program makes the root command of a program whose flags are environment variables with
// its name as the prefix, and describes all commands.
func Program(name, short string, pages fs.FS, commands ...*cobra.Command) *cobra.Command {
	root := Group(name, short, commands...)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return BindEnv(strings.ToUpper(name), cmd.Flags()) }
	Describe(root, pages)
	return root
}

// Group makes a command that only has others below it.
func Group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short}
	cmd.AddCommand(commands...)
	return cmd
}

// Describe gives a command and those below it the text and the examples of its page,
// help/PROGRAM-COMMAND-….txt, which is what --help prints. The flags and the commands in
// that are those of the program; clitest.Help holds them against the page.
func Describe(cmd *cobra.Command, pages fs.FS) {
	page, err := fs.ReadFile(pages, "help/"+strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".txt")
	if err == nil { // else clitest.Help says that there is none
		text, rest, _ := strings.Cut(string(page), "\n\nUsage:\n")
		_, examples, _ := strings.Cut(rest, "\n\nExamples:\n")
		cmd.Long = text
		cmd.Example, _, _ = strings.Cut(examples, "\n\n")
	}
	for _, below := range cmd.Commands() {
		Describe(below, pages)
	}
}

// refuseUnknown makes an unknown command below a group an error. Cobra does so
// for the root alone; a group prints its help otherwise, and exits 0.
func refuseUnknown(group *cobra.Command) {
	for _, cmd := range group.Commands() {
		refuseUnknown(cmd)
		switch {
		case !cmd.HasSubCommands():
		case cmd.Runnable():
			if cmd.Args != nil && cmd.Args(cmd, []string{"x"}) != nil { // it takes no words of its own
				cmd.Args = noCommand
			}
		default:
			cmd.DisableFlagsInUseLine = true
			cmd.Args, cmd.RunE = noCommand, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

// noCommand is cobra.NoArgs for a group: it names the command that was meant.
func noCommand(cmd *cobra.Command, args []string) error {
	err := cobra.NoArgs(cmd, args)
	if err == nil {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w; did you mean %s?", err, strings.Join(near, " or "))
	}
	return err
}

// helpFor prints the help of the command that args name.
func helpFor(cmd *cobra.Command, args []string) error {
	about, rest, err := cmd.Root().Find(args)
	if err == nil && about.HasSubCommands() {
		err = noCommand(about, rest)
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
