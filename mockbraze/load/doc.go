// Package load sends Braze's batches to anything that takes them, at a rate that
// is kept, and says how it went.
//
// The model is open: every batch has an intended instant that follows from the
// rate alone, not from how fast the target answers. Two times are measured for
// each batch, from its start to the answer (service) and from its intended
// instant to the answer. A target that stalls makes the batches behind it start
// late, and their wait is in the second time, so a stall cannot hide. With the
// rate Max there are no instants: each connection sends as soon as it has an
// answer. That model is closed, and the report says so.
//
// What it does not do: no probe, no retries, no stories (a batch holds one type,
// and the types take turns evenly), no other headers than those of Braze's
// Custom HTTP connector. It refuses a target that is not in a private network
// unless told otherwise.
//
// With Config.Verify it reads at the far end, a mockrudder, what arrived of what
// was acknowledged.
package load
