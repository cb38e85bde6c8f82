package main

import (
	"bufio"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/mockrudder/audit"
	"github.com/currentsbridge/currentsbridge/mockrudder/check"
	"github.com/currentsbridge/currentsbridge/mockrudder/plan"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// Help of flags that two commands have: --plan of validate and serve, --as-type of
// validate and audit.
const (
	planUsage   = "a tracking plan: a JSON file {\"event name\":{JSON Schema of its properties},…}, or a directory of NAME.schema.json"
	asTypeUsage = "event `TYPE` of records of storage exports whose path and schema do not say it"
)

func newValidate() *cobra.Command {
	var as, asType, format, planPath, glossary string
	cmd := &cobra.Command{
		Use:   "validate [FILE|DIRECTORY|-]...",
		Short: "Validate recorded events by the schemas",
		RunE: func(cmd *cobra.Command, files []string) error {
			out := bufio.NewWriter(cmd.OutOrStdout())
			checker, err := check.New(check.As(as), format, out)
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
		},
	}
	cmd.Flags().StringVar(&as, "as", string(check.Auto), "what the events are: auto, braze or rudder")
	cmd.Flags().StringVar(&asType, "as-type", "", asTypeUsage)
	cmd.Flags().StringVar(&planPath, "plan", "", planUsage)
	cmd.Flags().StringVar(&glossary, "glossary", "", glossaryUsage)
	cmd.Flags().StringVar(&format, "format", "text", "how to report: text, json or junit")
	return cmd
}

func newAudit() *cobra.Command {
	var format, asType string
	var fail bool
	cmd := &cobra.Command{
		Use:   "audit FILE|DIRECTORY|-...",
		Short: "Say what RudderStack's own Braze source would do to recorded batches",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			auditor := audit.New()
			auditor.AsType = asType
			in, err := newInputs("audit", cmd.InOrStdin(), cmd.ErrOrStderr(), files)
			if err != nil {
				return err
			}
			unread := in.each(auditor)
			report := auditor.Report()
			out := bufio.NewWriter(cmd.OutOrStdout())
			write := report.WriteText
			if format == "json" {
				write = report.WriteJSON
			}
			if err := errors.Join(write(out), out.Flush()); err != nil {
				return fmt.Errorf("write the report: %w", err)
			}
			if unread == nil && fail && !report.Harmless() {
				return errInvalid
			}
			return unread
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "how to report: text or json")
	cmd.Flags().StringVar(&asType, "as-type", "", asTypeUsage)
	cmd.Flags().BoolVar(&fail, "fail", false, "exit 2 if anything would be dropped, changed or refused")
	return cmd
}
