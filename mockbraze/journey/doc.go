// Package journey makes the events that the fake Braze sends: what happens to
// the people of package population, written as Braze writes it.
//
// It does not tell stories yet: no open follows a delivery. Rounds goes round
// the event types of the glossary evenly, and each event stands for itself,
// apart from what its user, campaign, Canvas or device has in common with
// others. It does not send duplicates, unknown fields or odd values either.
//
// An event depends on the seed, the stream, its type and its number among the
// events of its type, and on nothing else. So events can be made in any order
// and by any number of goroutines, and a selection of types gives the same
// events as the whole. The clock that events carry is fixed, too.
package journey
