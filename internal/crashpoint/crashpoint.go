// Package crashpoint names the places at which the crash suite kills the bridge.
//
// The code passes them with At. A normal build has nothing there: At is empty
// and inlined away. Built with the tag crashpoints, the process kills itself
// with SIGKILL at one pass that the environment names:
//
//	BRIDGE_CRASH_AT=append.synced:3    # the third time that it comes there
//
// so that a run can end between any two steps that matter, however close they
// are, without a debugger and without luck.
package crashpoint

// Env is the variable that names a point and the pass at which the process ends.
const Env = "BRIDGE_CRASH_AT"

// Points lists every point that the bridge has. One that is passed in the code
// and not listed here would never be tried; a test compares the two.
func Points() []string {
	return []string{
		// A batch on its way in. Committed means that it is in the log, synced
		// that the log is on disk.
		"append.before-commit", "append.committed", "append.synced",
		"intake.answered",
		// A batch on its way out.
		"delivery.before-post", "delivery.answered", "delivery.between-halves", "delivery.settled",
		"settle.missed", "settle.before-commit", "settle.committed",
		// History that goes, and ids that leave the window.
		"history.marked", "history.before-cut", "history.cut", "history.ids-dropped",
		"upkeep.before-compact", "upkeep.compacted",
		// Dead letters on their way back to pending.
		"dead.before-commit", "dead.committed", "dead.synced",
		// A replay of history: its order, and how far it has come.
		"replay.before-commit", "replay.committed", "replay.synced",
		// A user's events on their way out of records, logs and files.
		"erase.before-commit", "erase.committed", "erase.before-wipe", "erase.logs-dropped", "erase.wiped",
		// Start and end of the process.
		"start.before-ids", "start.loaded",
		"stop.begun", "stop.before-close", "stop.closed",
	}
}
