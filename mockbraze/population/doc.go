// Package population is the workspace that the fake Braze sends events about:
// its apps, campaigns, Canvases, subscription groups, products, agents and
// people.
//
// It does not store people. A user is worked out from the seed and a number,
// each time the same, so a million users need no memory. It keeps no state of
// what happened to them either: who unsubscribed or left is known to those who
// tell the stories (package journey).
//
// Everything comes from integers. No step uses floating point, the clock, the
// order of a map or the number of processors, so one seed means one workspace
// on every machine. Phone numbers, names and addresses are invented; e-mail
// addresses are under the domains that RFC 2606 keeps for examples.
package population
