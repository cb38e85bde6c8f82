// Package harness runs Braze, the bridge and RudderStack together and says
// whether the bridge kept its promises.
//
// The two ends are the fakes of this project, in this process; the bridge is
// the real program, in a process of its own, so that it can be killed. Run
// sends events of every type through mockbraze's Currents, makes RudderStack
// fail in every way that is asked for, keeps the books (package oracle), and
// gives its verdict in a Report. A run passes only if
//
//   - every acknowledged event was delivered and is equal to what was sent, or is
//     dead or filtered exactly where it should be;
//   - nothing arrived that was never sent, nothing twice that no fault explains, and
//     nothing invalid;
//   - the bridge's own ledger agrees;
//   - each fault that was asked for happened.
//
// Faults come by the share of events that got through, not by the clock, so
// that a run of two thousand events meets all of them and so does one of a
// million.
//
// Judge gives the same verdict on a run of programs that the harness did not start,
// such as containers, from what they have left behind.
package harness
