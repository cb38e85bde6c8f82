// Package mockbraze is a fake Braze for tests: a workspace whose people do
// things, and Currents that send what happened as Braze's Custom HTTP
// connector does.
//
// Nothing happens by itself unless a Current has a Rate. A Current sends events
// of every type in turn, each of which stands for itself, unless its Scenario is
// another; see package scenario. It keeps nothing on disk, its control API and its
// page ask for no password, and it has no other API of Braze. Where Braze publishes
// no number, such as how long a backoff is, the default here is an assumption and
// says so.
//
// What it does to the letter: one queue for each event type, batches of at
// most 100 events of one type, flushed when full or when the oldest event
// waited long enough; the header Braze-Currents-Version; the bearer token; the
// probe of the credentials at launch; events over 900 KB never sent; and what
// Braze does with each answer:
//
//	2XX             done
//	400             each event of the batch is sent again alone; one that gets
//	                400 alone is given up
//	401, 403, 404   the events of the batch are lost, and nothing else is sent
//	                until the Current is launched again
//	413             the batch is sent again in halves
//	anything else   the same batch is sent again after a backoff with jitter,
//	                and so it is where no answer came
//
// After five days without a 2XX the Current is disabled: new events are lost,
// queued ones are kept for another seven days. Delivery is at least once: a
// batch whose answer was lost is sent again, byte for byte the same.
//
// Time comes from a Clock, or from a bubble of testing/synctest, so that days
// pass in milliseconds; WithHandler sends without a port. One seed gives the same
// events, byte for byte, on any machine.
package mockbraze
