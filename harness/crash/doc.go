// Package crash is a suite of tests that kill the bridge in the middle of its
// work, fill its disk, and hold what is left to the harness's verdict.
//
// TestKills runs the real program on SQLite: it is killed with SIGKILL at random
// moments and at every named point (package internal/crashpoint) while fake
// Brazes send, history is pruned, dead letters are replayed and the fake
// RudderStacks misbehave. harness.Judge then judges each connector: no event that
// was acknowledged is lost or changed, and no more arrive twice than kills and
// lost responses explain.
//
// A kill cannot show a missing sync, because what a killed process has written is
// still the kernel's. The power cuts are tests of bridge/queue, on a file system
// that forgets what was not synced (TestPowerCuts there).
//
// go test makes a short run; make crash N=1000 a long one.
package crash
