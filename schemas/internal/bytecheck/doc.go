// Package bytecheck holds JSON text against a JSON Schema (draft 7) without
// decoding it. An Index says where each value of a text lies, in one list that
// is used again for the next text; a Checker, compiled from a schema, looks at
// the bytes in those places. Next to nothing is allocated for a document that
// keeps to it.
//
// A Checker knows the keywords that the schemas of this project use; a schema
// that asks for more is not compiled. Tests hold it against a library.
package bytecheck
