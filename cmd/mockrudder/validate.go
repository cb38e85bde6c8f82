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
