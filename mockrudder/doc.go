// Package mockrudder is a fake RudderStack data plane for tests: it answers as
// RudderStack's server 1.83 does, keeps the messages for queries, validates them
// by JSON Schemas and a tracking plan, and injects faults.
//
// What it does not do: it delivers nothing to any destination, runs no
// transformations but the Braze source's, knows no workspaces, and keeps nothing
// on disk but what WithRecording writes. It reads no more than 8 MB of a body,
// uncompressed, and takes JSON nested deeper than 100,000 levels for broken. The
// names of a pixel call's parameters are read more simply. What came in is
// kept in memory, the newest DefaultKeep messages, and the rest is only counted.
// Deduplication and user suppression are there and off, as in RudderStack.
//
// A message is stored and judged before its request is answered: a test that
// has the answer finds the message.
//
// Servers share nothing, so that tests with one each may run in parallel. Tests
// that share a server send an X-Test-ID header and ask with Filter.TestID.
// StartInMemory needs no port and works under testing/synctest.
package mockrudder
