// Package audit reports what RudderStack's own Braze source would do to recorded
// requests of Braze: which requests it refuses, which events it drops silently, and
// which properties it moves, loses or rounds. It sends the requests to the fake
// gateway, which behaves as the real one was observed to, and compares the stored
// messages with the events.
//
// What it does not do: it does not consider a source's custom mapping, rate limits, or
// later changes by RudderStack's destinations.
package audit
