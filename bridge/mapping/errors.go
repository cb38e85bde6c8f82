package mapping

import (
	"errors"
	"fmt"
)

// OptionError says what is wrong with one option. The error of New joins one
// for each mistake (errors.Join).
type OptionError struct {
	// Option names the option by its way from Options, in lower case with
	// underscores: filter.deny[2], filter.allow_properties.app_id,
	// names.map.users.*, personal.preset, personal.fields.email_address.
	Option string
	Text   string // what is wrong and what would be right
}

// Error names the option and the mistake.
func (e *OptionError) Error() string { return e.Option + ": " + e.Text }

// mistakes collects what is wrong with options.
type mistakes struct{ found []error }

func (m *mistakes) add(option, format string, args ...any) {
	m.found = append(m.found, &OptionError{Option: option, Text: fmt.Sprintf(format, args...)})
}

func (m *mistakes) err() error { return errors.Join(m.found...) }
