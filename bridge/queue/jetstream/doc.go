// Package jetstream keeps the queues of all connectors in streams of a NATS
// cluster, so that several bridges behind a load balancer share one queue and
// take over from each other. It needs NATS 2.12 or later with JetStream, and a
// max_payload of 64 KiB or more (the server's own is 1 MiB).
//
// # Streams
//
// Each connector has one stream, PREFIX_NAME: file storage, explicit
// acknowledgement, Options.Replicas copies. In it, batches, dead letters,
// outcomes and totals have subjects of their own, and an event that has an
// outcome stays where it is as history. They are one stream because only within
// a stream does the server store several messages together or not at all, and
// keeps one order for all bridges. A batch is one message; where it is larger
// than max_payload, packed, it is several, each of which stands for itself:
// Append answers after the last is stored, and where that fails, the ones before
// are delivered although the batch was not acknowledged, which is a duplicate
// and no loss. One event whose packed size and 16 KiB are more than max_payload
// is refused with queue.ErrTooLarge before anything is stored.
//
// # What an acknowledgement means
//
// Append and Settle return after the server's acknowledgement. With three
// copies that is when two of three servers have the message, so that the loss
// of any one, disk and all, loses nothing. A server has written a message to
// its file by then, but by default calls fsync only every two minutes
// (sync_interval: 2m): the end of the server's process loses nothing, but a
// power cut of all servers at once, or of the only one, loses up to the last
// two minutes of what was acknowledged. The Pebble store loses nothing then.
// With sync_interval: always the server syncs before it acknowledges. On a
// single server there is one copy, and the store warns about it.
//
// A call waits ten seconds for servers that do not answer, a leader that is
// elected or a connection that is lost, and then fails; it never claims
// success. Whether a batch was stored whose call has failed is not known: the
// sender sends it again. The connection is made again for ever. A message whose
// acknowledgement got lost is sent again with the same Nats-Msg-Id and stored once.
//
// # Duplicates
//
// The window of event ids is each bridge's own and in its memory. It knows what
// came through this bridge and, from the start on, what was in the stream when
// it was opened, as far back as the stream reaches: with Options.RetainAge of
// zero, batches that are done are deleted within seconds and their ids with them.
// Beyond that the Nats-Msg-Id is a hash of a batch's events, so that a batch that
// is sent again unchanged, to whichever bridge, within Options.Repeats (two
// minutes) is stored once. That is best effort: a batch with other neighbours,
// or of which a bridge has left out events that it knows, has another hash. What
// is not caught is delivered twice, with the same messageId.
//
// # Several bridges
//
// All bridges pull from one durable consumer. A bridge asks for what its Fetch
// needs and holds up to Options.InFlight records. It reports progress on each
// every quarter of Options.AckWait (ten seconds). The records of a bridge that
// dies are handed to others once AckWait has passed since its last report, so
// after three quarters of it up to all of it, ten seconds; those of a bridge that
// closes, at once; those that were released and that nobody here fetches, after
// AckWait. A bridge that stands still for longer than AckWait is taken for dead:
// then two bridges deliver the same events, which counts once. A replay of
// history is the work of one bridge, and another takes it over when nothing was
// heard of that one for twice AckWait.
//
// # The ledger
//
// Ledger shows the sums over all bridges. They are not counters that bridges
// write over each other: each bridge reads the stream's headers in their order
// and works the totals out of them, so that all come to the same. An event has
// the outcome that was stored first, whatever another bridge says later, and
// received = duplicates + accepted and accepted = filtered + delivered + dead +
// purged + pending hold at every moment, in every bridge. A bridge may be some
// milliseconds behind the others, and for some seconds while a stream has no
// leader; what it has itself stored it shows when the call returns. Where nothing
// comes for three seconds though the stream has more, it reads with a consumer
// anew. Every 512 messages or 30 seconds, and at its end, a bridge stores
// the totals, and what came before is not read again. A batch that was stored
// and whose acknowledgement never reached the sender counts as received, unlike
// in the Pebble store, where there is no such batch.
//
// # Limits
//
// Each bridge keeps 40 bytes in memory for each batch that is pending, and reads
// the headers of all of them when it starts, so a backlog of six million batches
// takes 240 MB and a minute or so. A record of history of which some events were
// filtered or died after it was stored takes some 100 bytes. Outcomes with dead letters are
// stored as an atomic batch of messages (at most 900 letters in one), for which
// the server makes a file: they are some ten times dearer than those without.
// Options.MaxBytes bounds the packed bytes of what is pending and is looked at by
// each bridge for itself, so that appends under way at the same moment may pass
// it. Above it, and where the account or the server's disk has no room, Append
// fails with queue.ErrFull. Where it was the servers that had no room, history is
// given up, an eighth of it a second, until they have.
// All bridges of a prefix keep a stream of 2 MiB in reserve, PREFIX__reserve: where
// there is no room for outcomes either it is emptied, and no batch is taken until it
// could be filled again, which is tried after ten seconds and then all the time.
// History is given up from its oldest end up to the oldest pending batch: one
// batch that is pending for days keeps those behind it.
//
// Measured with the server in the same process on two shared cores, one copy, and
// batches of 100 events of 991 bytes: Append costs 4.2 µs of CPU an event, server
// and client together, and Append, Fetch and Settle 10.7 µs.
//
// Erase stores a record anew without the events and has the server overwrite the
// old message, in every copy. A cluster's servers keep messages also in their
// logs of consensus until they compact those, which is theirs to do.
package jetstream
