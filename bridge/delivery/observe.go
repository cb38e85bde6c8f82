package delivery

import "time"

// Names of a destination's state, as /status and the metrics show them.
const (
	StateOK         = "ok"          // the last answer was one of a working destination
	StateBackingOff = "backing-off" // no answer, or one that asks to come again later
	StatePaused     = "paused"      // wrong key, wrong address, disabled source or a redirect
)

// State is how a destination does. It says nothing of how much is pending.
type State struct {
	Name      string
	LastError string    // what went wrong last; empty in StateOK
	Since     time.Time // when Name became what it is
	NextTry   time.Time // no POST begins before that; zero: one may begin at any time
}

// Post is one POST and what came of it.
type Post struct {
	Status  int    // 0: no answer
	Class   string // "1xx" to "5xx", "none" without an answer, "other"
	Events  int
	Bytes   int           // of the request's body
	Latency time.Duration // from the start to the end of the answer, or to giving up
	Halved  bool          // its events are sent again in two halves
	Dead    string        // reason, where its one event goes to the dead letters; else empty
}

// Observer hears what delivery does, for metrics. Its methods are called from
// several goroutines and must not block: delivery waits for them.
type Observer interface {
	// Posted is called once for each POST that was not cut off by shutdown,
	// before its outcome is stored.
	Posted(Post)
	// StateChanged is called when State.Name changes. Changes that follow each
	// other at once may be left out; the last one never is.
	StateChanged(State)
}

type nobody struct{}

func (nobody) Posted(Post)        {}
func (nobody) StateChanged(State) {}
