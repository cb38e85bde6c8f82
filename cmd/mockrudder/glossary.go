package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/schemas"
	"github.com/currentsbridge/currentsbridge/schemas/refresh"
)

// glossaryUsage describes --glossary, of all commands that have it.
const glossaryUsage = "a newer glossary, in the format of schemas/glossary.json (default: the built-in one)"

// glossaryFlags are the flags of all subcommands of glossary.
type glossaryFlags struct{ file, format string }

// add adds the flags to a command, which runs with the glossary that they name.
func (f *glossaryFlags) add(cmd *cobra.Command, run func(to io.Writer, g *schemas.Glossary, args []string) error) *cobra.Command {
	cmd.Flags().StringVar(&f.file, "glossary", "", glossaryUsage)
	cmd.Flags().StringVar(&f.format, "format", "text", "how to report: text or json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if f.format != "text" && f.format != "json" {
			return fmt.Errorf("--format must be text or json, not %q", f.format)
		}
		g, err := schemas.LoadFile(f.file)
		if err != nil {
			return err
		}
		return run(cmd.OutOrStdout(), g, args)
	}
	return cmd
}

// write writes a value as JSON, or as text.
func (f *glossaryFlags) write(to io.Writer, value any, text func(io.Writer) error) error {
	out := bufio.NewWriter(to)
	var err error
	if f.format == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(value)
	} else {
		err = text(out)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

func newGlossary() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "glossary",
		Short: "Show Braze's event types and fields, and compare them with what Braze publishes",
		Example: "  mockrudder glossary list 'users.messages.email.*'\n" +
			"  mockrudder glossary show users.messages.email.Open\n" +
			"  mockrudder glossary diff braze-docs/_docs\n" +
			"  mockrudder glossary refresh braze-docs/_docs --out glossary.json",
	}
	cmd.AddCommand(glossaryList(), glossaryShow(), glossaryDiff(), glossaryRefresh())
	return cmd
}

// typeEntry is an event type in the JSON of list and, with its fields, of show.
type typeEntry struct {
	*schemas.EventType
	User       map[string]schemas.Field `json:"user,omitempty"`
	Properties map[string]schemas.Field `json:"properties,omitempty"`
}

func glossaryList() *cobra.Command {
	var flags glossaryFlags
	return flags.add(&cobra.Command{
		Use:     "list [PATTERN]",
		Short:   "List the event types, all or those that match a pattern",
		Example: "  mockrudder glossary list\n  mockrudder glossary list '*.Send' --format json",
		Args:    cobra.MaximumNArgs(1),
	}, func(to io.Writer, g *schemas.Glossary, args []string) error {
		list := []typeEntry{}
		for i := range g.Events {
			if len(args) > 0 {
				if ok, err := path.Match(args[0], g.Events[i].Name); err != nil {
					return fmt.Errorf("%q is no pattern such as 'users.messages.email.*': %w", args[0], err)
				} else if !ok {
					continue
				}
			}
			list = append(list, typeEntry{EventType: &g.Events[i]})
		}
		if len(list) == 0 {
			return fmt.Errorf("no event type fits %q; mockrudder glossary list prints all", args[0])
		}
		return flags.write(to, list, func(to io.Writer) error {
			table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
			for _, e := range list {
				fmt.Fprintf(table, "%s\t%s\t%s\n", e.Name, e.Family, e.status())
			}
			if err := table.Flush(); err != nil {
				return err
			}
			_, err := fmt.Fprintln(to, g.Version())
			return err
		})
	})
}

func (e *typeEntry) status() string {
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
	var flags glossaryFlags
	return flags.add(&cobra.Command{
		Use:     "show TYPE",
		Short:   "Print the fields of an event type",
		Example: "  mockrudder glossary show users.behaviors.Purchase",
		Args:    cobra.ExactArgs(1),
	}, func(to io.Writer, g *schemas.Glossary, args []string) error {
		e, ok := g.Event(args[0])
		if !ok {
			return fmt.Errorf("the glossary has no event type %q; mockrudder glossary list prints all", args[0])
		}
		entry := typeEntry{e, byName(e.User), byName(e.Properties)}
		return flags.write(to, entry, func(to io.Writer) error { return showType(to, e, entry.status()) })
	})
}

func byName(fields []schemas.Field) map[string]schemas.Field {
	all := make(map[string]schemas.Field, len(fields))
	for _, f := range fields {
		all[f.Name] = f
	}
	return all
}

func showType(to io.Writer, e *schemas.EventType, status string) error {
	fmt.Fprintln(to, strings.TrimSpace(e.Name+"  "+status))
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, section := range []struct {
		name   string
		fields []schemas.Field
	}{{"user", e.User}, {"properties", e.Properties}} {
		for _, f := range section.fields {
			presence, personal := "optional", ""
			if f.Required {
				presence = "required"
			}
			if f.PII {
				personal = "[PII]"
			} else if f.Personal {
				personal = "personal"
			}
			fmt.Fprintf(table, "%s.%s\t%s\t%s\t%s\t%s\t%s\n", section.name, f.Name, f.Type, presence, personal, f.Since, f.Description)
		}
	}
	return table.Flush()
}

func glossaryDiff() *cobra.Command {
	var flags glossaryFlags
	return flags.add(&cobra.Command{
		Use:   "diff FILE|DIR",
		Short: "Show how what Braze publishes differs from the glossary",
		Long: "diff reads pages of Braze's documentation (Markdown; of each event the tab of the Custom HTTP\n" +
			"connector, in any language) and samples of that connector (JSON, one event a file), a file or\n" +
			"all in a directory, and lists event types and fields that were added, changed or removed.\n" +
			"Contradictions between sources are shown.\n\n" +
			"Exit code: 0 the same, 2 different, 1 something could not be read.",
		Example: "  git clone --depth 1 https://github.com/braze-inc/braze-docs && mockrudder glossary diff braze-docs/_docs\n" +
			"  mockrudder glossary diff --format json sample-data",
		Args: cobra.ExactArgs(1),
	}, func(to io.Writer, g *schemas.Glossary, args []string) error {
		sources, err := refresh.Read(args[0])
		if err != nil {
			return err
		}
		report := refresh.Compare(g, sources)
		return different(report, flags.write(to, report, report.WriteText))
	})
}

func different(report *refresh.Report, err error) error {
	if err == nil && !report.Same {
		return errInvalid
	}
	return err
}

func glossaryRefresh() *cobra.Command {
	var flags glossaryFlags
	var out string
	var options refresh.Options
	cmd := flags.add(&cobra.Command{
		Use:   "refresh FILE|DIR",
		Short: "Make a newer glossary from what Braze publishes",
		Long: "refresh reads and prints the same as diff. With --out it writes the glossary with everything\n" +
			"new: entries that the sources do not have stay, a flag of personal data is never removed, and\n" +
			"open questions are listed. bridge, mockrudder and mockbraze read the file with --glossary.\n\n" +
			"Exit code: 0 the same, 2 different (the file is written too), 1 something could not be\n" +
			"read or written.",
		Example: "  mockrudder glossary refresh braze-docs/_docs --out glossary.json --schema-version 13 --date 2026-12-02",
		Args:    cobra.ExactArgs(1),
	}, func(to io.Writer, g *schemas.Glossary, args []string) error {
		sources, err := refresh.Read(args[0])
		if err != nil {
			return err
		}
		next, report, err := refresh.Refresh(g, sources, options)
		if err != nil {
			return err
		}
		if out != "" {
			raw, err := next.Encode()
			if err != nil {
				return err
			}
			if err := os.WriteFile(out, raw, 0o644); err != nil {
				return err
			}
		}
		return different(report, flags.write(to, report, report.WriteText))
	})
	cmd.Flags().StringVar(&out, "out", "", "the file to write the new glossary to")
	cmd.Flags().IntVar(&options.SchemaVersion, "schema-version", 0, "the schema version that the sources describe, which they do not say")
	cmd.Flags().StringVar(&options.Date, "date", "", "the day on which Braze published it (YYYY-MM-DD)")
	return cmd
}
