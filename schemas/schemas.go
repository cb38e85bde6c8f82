// Package schemas holds what the whole project shares: the glossary of Braze's
// event types and the JSON Schemas (draft 7) made from it, for what Braze sends
// and for what RudderStack's HTTP API takes.
//
// # What a schema demands
//
// Braze adds fields and event types without notice, but never changes a field's
// type and never takes a required field away. That promise is the contract, and
// the schemas in braze/ demand nothing else: required fields are there and not
// null, known fields that are not null have their type, event_type and id are
// text that is not empty, time is an integer. The schemas describe formats, units
// and known values without enforcing them: a schema that rejects real data is worse
// than one that accepts something unusual. As draft 7 has it, 1.0 is an integer, and
// integers may be of any size.
//
// The schemas in rudder/ follow RudderStack's event specification as its HTTP
// API takes it. The gateway itself is laxer (it stores a message of an unknown
// type, or a group call without groupId), so a message can be accepted and
// still have findings.
//
// A Validator reports two kinds of findings: errors, which break the contract, and
// drift, which is allowed but unknown to the glossary.
package schemas

// Rules of findings that are not a keyword of a JSON Schema.
const (
	// RuleInvalidJSON is the rule of a document that does not parse.
	RuleInvalidJSON = "invalid_json"
	// RuleUnknownField is the rule of drift in a field.
	RuleUnknownField = "unknown_field"
	// RuleUnknownEventType is the rule of drift in the event type.
	RuleUnknownEventType = "unknown_event_type"
)

// Verdict is what a Validator says of one document.
type Verdict struct {
	// Type is the Braze event type, or the type of the RudderStack message, as
	// the document gives it; empty where there is none.
	Type string `json:"type,omitempty"`
	// Valid is false where the contract is broken; Errors then says where,
	// sorted by path.
	Valid  bool      `json:"valid"`
	Errors []Finding `json:"errors,omitempty"`
	// Drift lists what is allowed but unknown to the glossary: fields and
	// event types that came after it. An invalid document can have some too,
	// such as a required field under a misspelt name.
	Drift []Finding `json:"drift,omitempty"`
}

// Finding is one place of a document and what is wrong or new there. A missing
// field is found where it should be: /properties/email_address.
type Finding struct {
	Path   string `json:"path"`   // JSON pointer (RFC 6901); empty for the whole document
	Rule   string `json:"rule"`   // the schema's keyword, such as required or type, or one of the constants Rule…
	Detail string `json:"detail"` // what was expected and what was there; may quote the value, shortened
}
