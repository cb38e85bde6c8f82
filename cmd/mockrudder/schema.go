package main

import (
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/schemas"
)

func newSchema() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "List and show the JSON Schemas of events and messages",
		Example: "  mockrudder schema list 'users.messages.email.*'\n" +
			"  mockrudder schema show users.messages.email.Open > open.schema.json\n" +
			"  mockrudder schema show rudder/track",
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "list [PATTERN]",
		Short: "List the schemas' names, all or those that match a pattern",
		Long: "list prints the names of the schemas, a line each: braze/ and an event type, rudder/ and a\n" +
			"call. A pattern is for the name with or without the part before the slash.",
		Example: "  mockrudder schema list\n  mockrudder schema list 'rudder/*'",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return listSchemas(cmd.OutOrStdout(), strings.Join(args, ""))
		},
	}, &cobra.Command{
		Use:     "show TYPE",
		Short:   "Print one schema (JSON Schema, draft 7)",
		Example: "  mockrudder schema show users.behaviors.Purchase\n  mockrudder schema show identify",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return showSchema(cmd.OutOrStdout(), args[0])
		},
	})
	return cmd
}

func listSchemas(to io.Writer, pattern string) error {
	found := false
	for _, name := range schemas.Names() {
		whole, err := path.Match(pattern, name)
		if err != nil {
			return fmt.Errorf("%q is no pattern such as 'users.messages.email.*': %w", pattern, err)
		}
		last, _ := path.Match(pattern, path.Base(name)) // the pattern is valid
		if pattern != "" && !whole && !last {
			continue
		}
		found = true
		if _, err := fmt.Fprintln(to, name); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("no schema fits %q; mockrudder schema list prints all names", pattern)
	}
	return nil
}

func showSchema(to io.Writer, name string) error {
	for _, full := range []string{name, "braze/" + name, "rudder/" + name} {
		if text, ok := schemas.Schema(full); ok {
			_, err := to.Write(text)
			return err
		}
	}
	return fmt.Errorf("there is no schema %q; mockrudder schema list prints all names", name)
}
