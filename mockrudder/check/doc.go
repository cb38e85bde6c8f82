// Package check reads events from files and streams of several shapes and
// judges each of them: Braze events against the glossary, RudderStack messages
// against the schemas of its HTTP API. It is what `mockrudder validate` runs.
//
// What it does not do: it keeps no file in memory, so it does not look for
// events that come twice, and it judges the events of a request, not the
// request's own size or headers.
package check
