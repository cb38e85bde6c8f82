// Package schemas holds what the whole project shares: the glossary of Braze's
// event types and the JSON Schemas (draft 7) made from it, for what Braze sends
// and for what RudderStack's HTTP API takes.
package schemas

// Verdict is what a Validator says of one document.
type Verdict struct {
	// Type is the Braze event type, or the type of the RudderStack message.
	Type string `json:"type,omitempty"`
	// Valid is false where the contract is broken; Errors then says where.
	Valid  bool      `json:"valid"`
	Errors []Finding `json:"errors,omitempty"`
	// Drift lists what is allowed but unknown to the glossary: fields and
	// event types that came after it.
	Drift []Finding `json:"drift,omitempty"`
}

// Finding is one place of a document and what is wrong or new there.
type Finding struct {
	Path   string `json:"path"`   // JSON pointer (RFC 6901)
	Rule   string `json:"rule"`   // the schema's keyword, such as required or type; unknown_field or unknown_event_type for drift
	Detail string `json:"detail"` // what was expected and what came
}
