// Package journey makes the events that the fake Braze sends: what happens to
// the people of package population, written as Braze writes it. There are two
// ways.
//
// Rounds goes round the event types of the glossary evenly, and each event
// stands for itself, apart from what its user, campaign, Canvas or device has
// in common with others. An event depends on the seed, the stream, its type and
// its number among the events of its type, and on nothing else. So events can
// be made in any order and by any number of goroutines, and a selection of
// types gives the same events as the whole.
//
// Stories tells what follows from what, by a scenario: a send leads to a
// delivery, that to an open, a click, a session, a purchase, a conversion. It
// simulates the workspace on a clock of its own and sends events in order. What
// happens depends on the seed, the stream and the scenario only. It keeps what
// is to come, 6 bytes for each person to whom something happened that lasts, and
// an entry for each message that somebody saw the first time. A type of a newer
// glossary, which no plot has, happens by itself.
//
// Nothing is decided by floating point, by the order of a map, by the clock of
// the machine or its tables of time zones.
package journey
