// Package bytecheck holds JSON text against a JSON Schema (draft 7) without
// decoding it. An Index says where each value of a text lies, in one list that
// is used again for the next text; a Checker, compiled from a schema, looks at
// the bytes in those places. Nothing is allocated for a document of usual kind.
//
// A Checker says yes or no and nothing else. It agrees with gojsonschema on what
// encoding/json decodes, quirks and all; a schema that asks for more than it
// knows is not compiled.
package bytecheck
