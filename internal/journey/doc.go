// Package journey writes the events that the fake Braze sends: what happens to
// the people of package population, as Braze writes it.
//
// Rounds goes round the event types of the glossary evenly. Each event stands for
// itself and depends on the seed, the stream, its type and its number among the
// events of its type only. So events can be made in any order and by any number of
// goroutines, and a selection of types gives the same events as the whole.
//
// A StoryWriter writes the events of package story, where one follows from another.
//
// Nothing is decided by floating point, the order of a map, the clock of the machine
// or its tables of time zones.
package journey
