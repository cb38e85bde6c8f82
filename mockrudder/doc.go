// Package mockrudder is a fake RudderStack data plane for tests: it answers as
// RudderStack's server 1.83 does, keeps what it took for questions, holds it
// against JSON Schemas, and misbehaves when told to.
//
// What it does not do: it delivers nothing to any destination, keeps nothing on
// disk, and knows no workspaces, tracking plans, suppression, or deduplication.
// It reads no more than 64 MiB of a body, and takes JSON nested deeper than
// 10,000 levels for broken. What came in is kept in memory, the newest
// DefaultKeep messages, and the rest is only counted.
//
// A message is stored and judged before its request is answered: a test that
// has the answer finds the message.
package mockrudder
