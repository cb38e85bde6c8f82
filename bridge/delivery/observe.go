package delivery

import "time"

// Names of a destination's state, as /status and the metrics show them.
const (
	StateOK          = "ok"          // it accepts, or nothing is known against it
	StateBackingOff  = "backing-off" // no answer, or one that asks for a retry later
	StatePaused      = "paused"      // refusals: wrong key, wrong address, disabled source, a redirect
	StateMisdirected = "misdirected" // 2XX, but not from RudderStack
)

// State is how a destination does.
type State struct {
	Name      string
	LastError string    // what went wrong last; empty in StateOK
	Since     time.Time // when Name became what it is
	NextTry   time.Time // no request begins before that; zero: one may begin at any time
	Parked    int       // pending events under suspicion: they fail while others are accepted
}

// Post is one request and its outcome.
type Post struct {
	Class   string // "1xx" to "5xx", "none" without an answer, "other"
	Events  int
	Bytes   int           // of the request's body as it was sent
	Latency time.Duration // from the start to the end of the response, or to giving up
	Halved  bool          // its events are sent again in two halves
}

// Observer is notified of what delivery does, for metrics. Its methods are called from
// several goroutines and must not block: delivery waits for them.
type Observer interface {
	// Began is called before each request with its number of events, and Ended with
	// the same number once its response has come or it was given up.
	Began(events int)
	Ended(events int)
	// Posted is called once for each request that was not cut off by shutdown,
	// before its outcome is stored.
	Posted(Post)
	// Delivered is called for each record of which RudderStack has taken events
	// in a request, replays apart. latency is the time from the receipt of the
	// batch to the end of RudderStack's response.
	Delivered(latency time.Duration)
	// GzipChanged is called when compression of bodies begins or ends; it is off at
	// first. It may be called while another method is.
	GzipChanged(on bool)
}

type noObserver struct{}

func (noObserver) Began(int)               {}
func (noObserver) Ended(int)               {}
func (noObserver) Posted(Post)             {}
func (noObserver) Delivered(time.Duration) {}
func (noObserver) GzipChanged(bool)        {}
