// Package oracle keeps the books of a run: what was acknowledged to Braze, and what
// RudderStack got.
//
// It works out what should arrive from the facts about Braze and RudderStack
// alone, with plain code over decoded JSON, and knows nothing of the bridge.
// So a mistake in the bridge's mapping cannot hide here as well.
//
// Expect says what is to become of one event. Books holds every issued event
// as a 128-bit hash of what is expected (about 100 bytes an event), takes
// acknowledgements and deliveries in any order, and adds up in the end:
//
//   - every acknowledged event is an obligation: it must be delivered, unless
//     the facts say that it is dead or filtered;
//   - every delivered id must have been issued, and what was delivered must be
//     equal, field by field, to what was expected;
//   - an event may arrive twice only where a response was lost or the bridge was
//     killed in between (see Books.Interrupt).
package oracle
