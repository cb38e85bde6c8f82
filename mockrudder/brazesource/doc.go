// Package brazesource does to what Braze sends what RudderStack's own Braze
// source does to it, for better or worse (transformer 1.145, observed in 2026).
//
// It is no model of how the mapping should be: it drops events without a word,
// it rounds numbers above 2^53, and it takes a property's name for a path, so
// that a dot, a slash, a backslash or a whole number in a name moves values or
// loses them. Use it to see what RudderStack would make of a request.
//
// What it does not do: it does not add, check or change what the gateway does
// behind the transformation (blank ids, \u0000, half surrogate pairs). Objects
// nested deeper than 10,000 levels count as broken. What an event would write to
// JavaScript's own functions, which in RudderStack outlives the event, is gone.
package brazesource
