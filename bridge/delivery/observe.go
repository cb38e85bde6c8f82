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
	Bytes   int           // of the request's body as it was sent
	Packed  bool          // with gzip
	Replay  bool          // its events are history that is sent again
	Latency time.Duration // from the start to the end of the answer, or to giving up
	Halved  bool          // its events are sent again in two halves
	Dead    string        // reason, where its one event is refused for good; else empty
}

// Observer hears what delivery does, for metrics. Its methods are called from
// several goroutines and must not block: delivery waits for them.
type Observer interface {
	// Began is called before each POST with its number of events, and Ended with
	// the same number once its answer has come or it was given up.
	Began(events int)
	Ended(events int)
	// Posted is called once for each POST that was not cut off by shutdown,
	// before its outcome is stored.
	Posted(Post)
	// Delivered is called for each record of which RudderStack has taken events
	// in a POST, replays apart. latency is the time from the receipt of the
	// batch to the end of RudderStack's answer.
	Delivered(latency time.Duration)
	// GzipChanged is called when packing of bodies begins or ends; it is off at
	// first. It may be called while another method is.
	GzipChanged(on bool)
	// StateChanged is called when State.Name changes. Changes that follow each
	// other at once may be left out; the last one never is.
	StateChanged(State)
}

type nobody struct{}

func (nobody) Began(int)               {}
func (nobody) Ended(int)               {}
func (nobody) Posted(Post)             {}
func (nobody) Delivered(time.Duration) {}
func (nobody) GzipChanged(bool)        {}
func (nobody) StateChanged(State)      {}
