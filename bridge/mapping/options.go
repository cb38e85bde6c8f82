package mapping

import (
	"fmt"

	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// Options say what leaves and how. The zero value maps as RudderStack's own
// Braze source does.
type Options struct {
	// Webhook is for the mode in which RudderStack's Braze source maps: the
	// events leave as Braze sent them. Names, Identify and Alias change nothing
	// then.
	Webhook  bool
	Names    Names
	Filter   Filter
	Personal Personal
	// Identify makes an identify call of users.profile.Update, with traits
	// named as RudderStack names them.
	Identify bool
	// Alias makes an alias call of an event that says that one user was merged
	// into another, users.UserOrphan.
	Alias bool
	// Drift, where it is not nil, counts event types and fields that are not in
	// the glossary, and ids and traits that Braze has redacted.
	Drift *drift.Watch
	// Glossary steers names, personal data and drift; nil: one that is empty.
	Glossary *schemas.Glossary
}

// Names say what an event is called in RudderStack.
type Names struct {
	// Readable gives the glossary's readable names, such as Email Opened, to
	// the types that have one.
	Readable bool
	// Map names event types, and by patterns that end in a star all types that
	// begin alike. An exact entry wins over a pattern, the longer pattern over
	// the shorter, and all of them over Readable. A star in the name of a
	// pattern stands for what the pattern's star stood for.
	Map map[string]string
}

// Filter says which events leave. What it keeps back counts as filtered.
type Filter struct {
	Allow []string // patterns of event types, as in path.Match; none: all
	Deny  []string // wins over Allow
	// AllowProperties keeps back every event that does not have one of the
	// values of each of these properties; DenyProperties every event that has
	// one of the values of any. custom_properties.plan is for a key of that name, or
	// else for one that is nested. Values are texts of strings, numbers, true, false or
	// null; numbers are compared by value.
	AllowProperties, DenyProperties map[string][]string
}

// Action says what is done to a field.
type Action string

// What can be done to a field.
const (
	Keep Action = "keep"
	Drop Action = "drop"
	Hash Action = "hash" // hex of SHA-256 over the salt and the value's text
	// AsPreset is for Personal.Unknown only.
	AsPreset Action = "as_preset"
)

// Personal says what becomes of personal data.
type Personal struct {
	// Preset is for the fields that the glossary flags as personal data, by
	// Braze or by this project, ids apart; empty: Keep.
	Preset Action
	// Unknown is what a preset does to text, objects and arrays in fields and
	// event types that the glossary does not have: AsPreset, which is the
	// default, or Keep. Numbers and booleans stay, apart from those in a field
	// whose name the glossary flags for another type.
	Unknown Action
	// Fields wins over Preset: by the name of a property, as in
	// custom_properties.email for a nested one, or user.user_id,
	// user.external_user_id, user.device_id, user.timezone, or id, which is the
	// event's own. Not all of what makes an identity can be dropped.
	Fields map[string]Action
	Salt   []byte // not empty where anything is hashed
}

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
type mistakes []error

func (m *mistakes) add(option, format string, args ...any) {
	*m = append(*m, &OptionError{Option: option, Text: fmt.Sprintf(format, args...)})
}
