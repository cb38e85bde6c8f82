// Package crashpoint names the places at which the crash suite kills the bridge.
//
// The code passes them with At. A normal build has nothing there: At is empty
// and inlined away. Built with the tag crashpoints, the process kills itself
// with SIGKILL at one pass that the environment names:
//
//	BRIDGE_CRASH_AT=commit.after:3    # the third time that it is reached
//
// so that a test can end the process between any two steps.
package crashpoint

// Env is the variable that names a point and the pass at which the process ends.
const Env = "BRIDGE_CRASH_AT"

// Points lists every point that the bridge has. A test compares it with the code.
func Points() []string {
	return []string{
		// A batch that comes in.
		"append.stored", "intake.answered",
		// The writer's transaction, which holds batches and settlements.
		"commit.before", "commit.after",
		// A batch that goes out.
		"claim.before-read", "delivery.before-post", "delivery.answered", "delivery.between-halves",
		"settle.before", "settle.after", "delivery.settled",
		// Log, history, and ids that leave the window.
		"checkpoint.before", "checkpoint.before-rest", "checkpoint.after",
		"prune.before-commit", "prune.after",
		// Dead letters that an operator moves back to pending.
		"dead.before-commit", "dead.after",
		// Start and end of the process.
		"start.before-ids", "stop.begun", "stop.before-close", "stop.closed",
	}
}
