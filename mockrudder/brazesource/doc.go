// Package brazesource makes RudderStack messages of a request of Braze exactly as
// RudderStack's own Braze source does (transformer 1.145, observed in 2026).
//
// It is not a model of a good mapping: it drops events silently, rounds numbers above
// 2^53, and uses a property's name as a path, so that a dot, a slash, a backslash or
// a whole number in a name moves or loses values. Use it to see what RudderStack would
// make of a request.
//
// What it does not do: the checks and changes of the gateway after the transformation
// (blank ids, \u0000, half surrogate pairs). Objects nested deeper than 100,000 levels
// count as malformed. It ignores writes to JavaScript's built-in functions, which in
// RudderStack affect later events.
package brazesource
