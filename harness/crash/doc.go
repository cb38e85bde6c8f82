// Package crash is a suite of tests that kill the bridge again and again in the
// middle of its work and keep the books of what it has promised.
//
// TestKills runs the real program: it is killed with SIGKILL at random moments
// and at every named point (package internal/crashpoint) while batches of every
// shape come in, history goes, dead letters are replayed and RudderStack
// misbehaves. TestPowerCuts runs the same parts in this process on a file
// system that forgets what was not synced, which a kill cannot show: what a
// killed process has written, synced or not, is still the kernel's.
//
// Both hold to the same books. No event that was acknowledged is lost or
// changed; what comes twice comes because of a crash or of an answer that never
// arrived, and for each crash and destination there is no more of it than may
// be in flight; the bridge's own ledger balances after every start, never goes
// back, and agrees with the books at the end.
//
// go test makes a short run; make crash N=1000 a long one.
package crash
