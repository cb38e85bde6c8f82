package mockbraze

import "github.com/currentsbridge/currentsbridge/internal/fieldtransform"

// Transform is a field transformation of a Current: what becomes of a string
// field in every event that has it.
type Transform = fieldtransform.Transform

const (
	// Remove makes the value Redacted.
	Remove = fieldtransform.Remove
	// Hash makes the value its SHA-256, in hex digits.
	Hash = fieldtransform.Hash
	// Redacted is the value of a string that was removed.
	Redacted = fieldtransform.Redacted
)
