// Package check reads events from files and streams in several formats and validates
// each of them: Braze events by the glossary, RudderStack messages by the schemas of
// its HTTP API. It is what `mockrudder validate` runs.
//
// What it does not do: it keeps no file in memory, so it does not find duplicate
// events, and it validates the events of a request, not its size or headers.
package check
