package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/internal/cli"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
)

func newScenario() *cobra.Command {
	list := &cobra.Command{
		Use:   "list",
		Short: "List the scenarios that are built in",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range scenario.Names() {
				s, err := scenario.Builtin(name)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%-12s%s\n", name, s.About)
			}
			return nil
		},
	}
	show := &cobra.Command{
		Use:   "show NAME|FILE",
		Short: "Print a scenario with everything that can be set, as YAML",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := scenario.Load(args[0])
			if err != nil {
				return err
			}
			text, err := s.YAML()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	return cli.Group("scenario", "List the scenarios, or print one to start from", list, show)
}
