// Package mockbraze is a fake Braze for tests: a workspace whose people do
// things, and Currents that send the events of it as Braze's Custom HTTP
// connector does.
//
// Events are made when Send asks for them, or at the Rate of a Current. Unless
// its Scenario is another one, a Current sends events of every type in turn, each
// of which stands for itself. Nothing is kept on disk, and the control API and the
// page ask for no password. docs/mockbraze.md says how batches are formed and what
// follows from each response.
//
// Where Braze publishes no number, such as how long a backoff is, the default is
// an assumption and says so. Time comes from a Clock, or from a bubble of
// testing/synctest, so that days pass in milliseconds; WithHandler sends without a
// port. One seed gives the same events, byte for byte, on any machine.
package mockbraze
