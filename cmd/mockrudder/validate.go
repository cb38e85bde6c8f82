package main

import (
	"bufio"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/mockrudder/check"
	"github.com/currentsbridge/currentsbridge/mockrudder/plan"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// planUsage describes --plan, of validate and serve.
const planUsage = "a tracking plan: a JSON file {\"event name\":{JSON Schema of its properties},…}, or a directory of NAME.schema.json"

func newValidate() *cobra.Command {
	var as, asType, format, planPath, glossary string
	cmd := &cobra.Command{
		Use:   "validate [FILE|DIRECTORY|-]...",
		Short: "Validate recorded events by the schemas",
		Long: "validate checks Braze events by the glossary and RudderStack messages by the schemas of its\n" +
			"HTTP API. It reads files, the *.avro, *.json, *.jsonl and *.ndjson files of directories, or\n" +
			"standard input: NDJSON, arrays, request bodies {\"events\":[…]} and {\"batch\":[…]}, also as text\n" +
			"in a log record, pretty-printed documents, recordings of serve --record, and all of these in\n" +
			"gzip. Records of Currents' storage exports, Avro or flat JSON, are checked as the events that\n" +
			"the HTTP connector makes of them. A malformed line is invalid, and the next lines are read.\n" +
			"Fields and event types that the glossary does not know are reported but valid. With --plan,\n" +
			"your tracking plan applies to the properties of track messages, and to those of Braze events\n" +
			"as RudderStack's source maps them.\n\n" +
			"Exit code: 0 all valid, 2 something invalid, 1 something could not be read.",
		Example: "  mockbraze emit --events 1020 | mockrudder validate --as braze\n" +
			"  mockrudder validate --plan plan.json recorded.ndjson   # plan.json: {\"Order Placed\":{\"required\":[\"total\"]}}\n" +
			"  mockrudder validate --format junit recorded.ndjson.gz > report.xml",
		RunE: func(cmd *cobra.Command, files []string) error {
			return validate(cmd, check.As(as), asType, format, planPath, glossary, files)
		},
	}
	cmd.Flags().StringVar(&as, "as", string(check.Auto), "what the events are: auto, braze or rudder")
	cmd.Flags().StringVar(&asType, "as-type", "", asTypeUsage)
	cmd.Flags().StringVar(&planPath, "plan", "", planUsage)
	cmd.Flags().StringVar(&glossary, "glossary", "", glossaryUsage)
	cmd.Flags().StringVar(&format, "format", "text", "how to report: text, json or junit")
	return cmd
}

func validate(cmd *cobra.Command, as check.As, asType, format, planPath, glossary string, files []string) error {
	out := bufio.NewWriter(cmd.OutOrStdout())
	checker, err := check.New(as, format, out)
	if err != nil {
		return err
	}
	checker.AsType = asType
	if glossary != "" {
		if checker.Glossary, err = schemas.LoadFile(glossary); err != nil {
			return err
		}
	}
	if planPath != "" {
		if checker.Plan, err = plan.Read(planPath); err != nil {
			return err
		}
	}
	if len(files) == 0 {
		files = []string{"-"}
	}
	in, err := newInputs("validate", cmd.InOrStdin(), cmd.ErrOrStderr(), files)
	if err != nil {
		return err
	}
	unread := in.each(checker)
	summary, err := checker.Close()
	if err = errors.Join(err, out.Flush()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if unread == nil && summary.Invalid > 0 {
		return errInvalid
	}
	return unread
}
