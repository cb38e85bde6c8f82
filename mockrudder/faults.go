package mockrudder

// Fault makes the gateway misbehave. Its parts work together: a request first
// waits for Latency, then Close, Hang or Status decide; with none of the three
// it goes on as usual. WrongBody, Trickle and Close with Middle then spoil the
// answer, be it Status or the gateway's own. The first fault of the list that
// fits a request, whose turn it is and whose chance strikes is the one that
// acts. The query API is never hit.
type Fault struct {
	// ID names the fault among those in force. A server gives one where it is
	// "".
	ID string `json:"id"`
	// Path limits the fault to one path, or with a * at its end to what begins
	// so; "" is every path.
	Path string `json:"path,omitempty"`
	// Method limits it to requests of this method.
	Method string `json:"method,omitempty"`
	// Source limits it to requests that carry this write key.
	Source string `json:"source,omitempty"`
	// TestID limits it to requests that carry this X-Test-ID header.
	TestID string `json:"test_id,omitempty"`
	// Probability is the chance that a request is hit, over 0 and up to 1; 0
	// means 1.
	Probability float64 `json:"probability,omitempty"`
	// Nth hits one request alone, the n-th that fits the limits above since the
	// fault is in force; 0 is no matter which. A request counts that another
	// fault has struck.
	Nth int `json:"nth,omitempty"`
	// Every hits each n-th of them: 3 is the third, the sixth and so on.
	Every int `json:"every,omitempty"`
	// Requests ends the fault after so many hits; 0 is never.
	Requests int `json:"requests,omitempty"`

	// Latency is waited for before anything else; with LatencyMax, a time
	// between the two, each as likely as any other.
	Latency    Duration `json:"latency,omitempty"`
	LatencyMax Duration `json:"latency_max,omitempty"`
	// Status is answered instead of doing anything, with Body, and with a
	// Retry-After header of RetryAfter seconds where that is not 0.
	Status     int    `json:"status,omitempty"`
	Body       string `json:"body,omitempty"`
	RetryAfter int    `json:"retry_after,omitempty"`
	// Hang gives no answer for so long, and then closes the connection; nothing
	// is stored. A negative duration is until the client leaves.
	Hang Duration `json:"hang,omitempty"`
	// Close closes the connection without an answer, or within it.
	Close When `json:"close,omitempty"`
	// Trickle spreads the body of the answer over so long.
	Trickle Duration `json:"trickle,omitempty"`
	// WrongBody puts something else in place of the answer's body, under the
	// same status.
	WrongBody WrongBody `json:"wrong_body,omitempty"`
	// Transformer makes RudderStack's transformer fail, which only the webhook
	// needs: "down" answers 503 after a second, "hang" closes the connection
	// after 30 seconds.
	Transformer TransformerState `json:"transformer,omitempty"`

	// Hits counts how many requests the fault has struck; it is for reading.
	Hits int `json:"hits"`

	seen int // requests that fitted the limits
}

// When says at what moment of a request a connection is closed.
type When string

// The moments for Fault.Close.
const (
	// Before reading the body.
	Before When = "before"
	// After reading the body, with nothing stored.
	After When = "after"
	// Stored: when all is done and only the answer is missing. The sender
	// cannot know, and what it sends again is a duplicate.
	Stored When = "stored"
	// Middle: after the headers and half of the body of the answer. All is done
	// then as without the fault.
	Middle When = "middle"
)

// WrongBody is something that is no answer of RudderStack.
type WrongBody string

// The bodies for Fault.WrongBody.
const (
	Garbage   WrongBody = "garbage" // bytes that are no text
	HTMLPage  WrongBody = "html"    // the error page of a proxy
	JSONError WrongBody = "json"    // {"error":…}
	NoBody    WrongBody = "empty"
)

// TransformerState is what is wrong with the transformer.
type TransformerState string

// The states for Fault.Transformer.
const (
	TransformerDown TransformerState = "down"
	TransformerHang TransformerState = "hang"
)
