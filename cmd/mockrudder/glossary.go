package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/internal/cli"
	"github.com/currentsbridge/currentsbridge/schemas"
	"github.com/currentsbridge/currentsbridge/schemas/refresh"
)

// glossaryUsage describes --glossary, of all commands that have it.
const glossaryUsage = "a newer glossary, in the format of schemas/glossary.json (default: the built-in one)"

// withGlossary gives a command the flag --glossary and runs it with what that names.
func withGlossary(cmd *cobra.Command, run func(to io.Writer, g *schemas.Glossary, args []string) error) *cobra.Command {
	file := cmd.Flags().String("glossary", "", glossaryUsage)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		g, err := schemas.LoadFile(*file)
		if err != nil {
			return err
		}
		out := bufio.NewWriterSize(cmd.OutOrStdout(), 64<<10) // a table is written in many small pieces
		return cmp.Or(run(out, g, args), out.Flush())
	}
	return cmd
}

func newGlossary() *cobra.Command {
	return cli.Group("glossary", "Show Braze's event types and fields, and compare them with what Braze publishes",
		glossaryList(), glossaryShow(), glossaryDiff(), glossaryRefresh())
}

func glossaryList() *cobra.Command {
	return withGlossary(&cobra.Command{
		Use:   "list [PATTERN]",
		Short: "List the event types, all or those that match a pattern",
		Args:  cobra.MaximumNArgs(1),
	}, func(to io.Writer, g *schemas.Glossary, args []string) error {
		table, found := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0), false
		for i := range g.Events {
			e := &g.Events[i]
			if len(args) > 0 {
				if ok, err := path.Match(args[0], e.Name); err != nil {
					return fmt.Errorf("%q is no pattern such as 'users.messages.email.*': %w", args[0], err)
				} else if !ok {
					continue
				}
			}
			found = true
			fmt.Fprintf(table, "%s\t%s\t%s\n", e.Name, e.Family, statusOf(e))
		}
		if !found {
			return fmt.Errorf("no event type fits %q; mockrudder glossary list prints all", args[0])
		}
		if err := table.Flush(); err != nil {
			return err
		}
		_, err := fmt.Fprintln(to, g.Version())
		return err
	})
}

func statusOf(e *schemas.EventType) string {
	var words []string
	if strings.HasPrefix(e.Since, "after") {
		words = append(words, e.Since)
	} else if e.Since != "" {
		words = append(words, "since "+e.Since)
	}
	if e.Retired != "" {
		words = append(words, "retired "+e.Retired)
	}
	if e.Beta {
		words = append(words, "beta")
	}
	return strings.Join(words, ", ")
}

func glossaryShow() *cobra.Command {
	return withGlossary(&cobra.Command{
		Use:   "show TYPE",
		Short: "Print the fields of an event type",
		Args:  cobra.ExactArgs(1),
	}, func(to io.Writer, g *schemas.Glossary, args []string) error {
		e, ok := g.Event(args[0])
		if !ok {
			return fmt.Errorf("the glossary has no event type %q; mockrudder glossary list prints all", args[0])
		}
		fmt.Fprintln(to, strings.TrimSpace(e.Name+"  "+statusOf(e)))
		table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
		showFields(table, "user", e.User)
		showFields(table, "properties", e.Properties)
		return table.Flush()
	})
}

func showFields(table io.Writer, section string, fields []schemas.Field) {
	for _, f := range fields {
		presence, personal := "optional", ""
		if f.Required {
			presence = "required"
		}
		if f.PII {
			personal = "[PII]"
		} else if f.Personal {
			personal = "personal"
		}
		fmt.Fprintf(table, "%s.%s\t%s\t%s\t%s\t%s\t%s\n", section, f.Name, f.Type, presence, personal, f.Since, f.Description)
	}
}

func glossaryDiff() *cobra.Command {
	return comparing(&cobra.Command{
		Use:   "diff FILE|DIR",
		Short: "Show how what Braze publishes differs from the glossary",
		Args:  cobra.ExactArgs(1),
	}, func(g *schemas.Glossary, sources *refresh.Sources) (*refresh.Report, error) {
		return refresh.Compare(g, sources), nil
	})
}

// checkFormat returns an error for a format of the reports of audit and glossary.
func checkFormat(format string) error {
	if format != "text" && format != "json" {
		return fmt.Errorf("--format must be text or json, not %q", format)
	}
	return nil
}

// comparing makes a command that compares the glossary with sources and writes the
// report.
func comparing(cmd *cobra.Command, compare func(*schemas.Glossary, *refresh.Sources) (*refresh.Report, error)) *cobra.Command {
	format := cmd.Flags().String("format", "text", "how to report: text or json")
	return withGlossary(cmd, func(to io.Writer, g *schemas.Glossary, args []string) error {
		if err := checkFormat(*format); err != nil {
			return err
		}
		sources, err := refresh.Read(args[0], g)
		if err != nil {
			return err
		}
		report, err := compare(g, sources)
		if err != nil {
			return err
		}
		out := bufio.NewWriter(to)
		if *format == "json" {
			encoder := json.NewEncoder(out)
			encoder.SetEscapeHTML(false)
			encoder.SetIndent("", "  ")
			err = encoder.Encode(report)
		} else {
			err = report.WriteText(out)
		}
		if err = errors.Join(err, out.Flush()); err == nil && !report.Same {
			err = errInvalid
		}
		return err
	})
}

func glossaryRefresh() *cobra.Command {
	var out string
	var options refresh.Options
	cmd := comparing(&cobra.Command{
		Use:   "refresh FILE|DIR",
		Short: "Make a newer glossary from what Braze publishes",
		Args:  cobra.ExactArgs(1),
	}, func(g *schemas.Glossary, sources *refresh.Sources) (*refresh.Report, error) {
		next, report, err := refresh.Refresh(g, sources, options)
		if err != nil || out == "" {
			return report, err
		}
		raw, err := next.Encode()
		if err != nil {
			return nil, err
		}
		return report, os.WriteFile(out, raw, 0o644)
	})
	cmd.Flags().StringVar(&out, "out", "", "the file to write the new glossary to")
	cmd.Flags().IntVar(&options.SchemaVersion, "schema-version", 0, "the schema version that the sources describe, which they do not say")
	cmd.Flags().StringVar(&options.Date, "date", "", "the day on which Braze published it (YYYY-MM-DD)")
	return cmd
}
