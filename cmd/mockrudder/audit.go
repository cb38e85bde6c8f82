package main

import (
	"bufio"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/mockrudder/audit"
)

func newAudit() *cobra.Command {
	var format, asType string
	var fail bool
	cmd := &cobra.Command{
		Use:   "audit FILE|DIRECTORY|-...",
		Short: "Say what RudderStack's own Braze source would do to recorded batches",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			return runAudit(cmd, asType, format, fail, files)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "how to report: text or json")
	cmd.Flags().StringVar(&asType, "as-type", "", asTypeUsage)
	cmd.Flags().BoolVar(&fail, "fail", false, "exit 2 if anything would be dropped, changed or refused")
	return cmd
}

// asTypeUsage describes --as-type, of audit and validate.
const asTypeUsage = "event `TYPE` of records of storage exports whose path and schema do not say it"

func runAudit(cmd *cobra.Command, asType, format string, fail bool, files []string) error {
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
}
