// Package audit tells what RudderStack's own Braze source would do to recorded
// requests of Braze: which it refuses whole, which events it drops without a
// word, and which properties it moves, loses or rounds. It asks the fake
// gateway, which does to each request what the real one was observed to do, and
// holds what would be stored against what was sent.
//
// What it does not do: it knows nothing of a source's custom mapping, of rate
// limits, and of what RudderStack's destinations make of an event later.
package audit
