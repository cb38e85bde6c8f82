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
// A StoryWriter writes the events of stories, which package story makes: what happens
// there follows from what happened.
//
// Nothing is decided by floating point, by the order of a map, by the clock of
// the machine or its tables of time zones.
package journey
