// Package e2e tests the programs as they are used: each in a container of its
// own, from an image that holds nothing but the program, over Docker's networks.
//
// The tests have the build tag e2e; `make e2e` runs them. Each is a scenario: a
// fake Braze sends events all the while, one thing after the other is killed, cut
// off or slowed down, and after each it is measured how long it takes until the
// backlog is delivered. At the end the harness judges the whole run: nothing
// acknowledged may be lost, nothing changed, nothing may come that was never
// sent, and no more may come twice than the faults explain.
//
// Where the variable E2E_REPORT names a file, each scenario appends its figures
// there, a line of JSON.
package e2e
