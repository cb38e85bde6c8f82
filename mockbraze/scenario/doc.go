// Package scenario says what happens in the fake Braze's workspace: how many
// people there are, how often they do things, which campaigns and Canvases
// run, how likely and how late each thing follows from another, and how rough
// the stream of events is.
//
// A Scenario is written in YAML. A file names what it changes and takes the
// rest from a built-in scenario (base, or steady where it names none), so one
// line is a file:
//
//	outcomes: {email: {open: 40%}}
//
// Every mistake in a file is found at once and named with its line. All
// numbers are whole inside (parts per million, seconds), so that a scenario
// means the same on every machine.
package scenario
