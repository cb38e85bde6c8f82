// Package mockbraze is a fake Braze for tests: a workspace whose people do
// things, and Currents that send the events of it as Braze's Custom HTTP
// connector does.
//
// Events are made when Send asks for them, or at the Rate of a Current. Unless
// its Scenario is another one, a Current sends events of every type in turn, each
// of which stands for itself. Nothing is kept on disk, and the control API and the
// page ask for no password. There is no other API of Braze.
//
// Like the connector, it has one queue for each event type and sends batches of
// at most 100 events of one type, when a batch is full or its oldest event has
// waited long enough. It sends the header Braze-Currents-Version and the bearer
// token, probes the credentials at launch, never sends an event of over 900 KB, and
// does with each response what Braze does:
//
//	2XX             done
//	400             each event of the batch is sent again alone; one that gets
//	                400 alone is dropped
//	401, 403, 404   the events of the batch are lost, and nothing else is sent
//	                until the Current is launched again
//	413             the batch is sent again in halves
//	anything else   the same batch is sent again after a backoff with jitter,
//	                also where no response came
//
// After five days without a 2XX the Current is disabled: new events are lost,
// queued ones are kept for another seven days. Delivery is at least once: a
// batch whose response was lost is sent again, byte for byte the same.
//
// Where Braze publishes no number, such as how long a backoff is, the default is
// an assumption and says so. Time comes from a Clock, or from a bubble of
// testing/synctest, so that days pass in milliseconds; WithHandler sends without a
// port. One seed gives the same events, byte for byte, on any machine.
package mockbraze
