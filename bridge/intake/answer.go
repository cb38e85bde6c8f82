package intake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// retryAfter is what a 503 asks for, in seconds. Braze goes on for days with a
// backoff of its own.
const retryAfter = "5"

// lingering is how long the rest of a body that nobody wants may come in after
// the answer, so that a client that writes before it reads sees the answer.
const lingering = time.Second

// hearing is how long a client may take to take in a refusal.
const hearing = 10 * time.Second

// draining and drainFactor bound the same for a sender whose token is good: in
// time, and in sizes of the largest body.
const (
	draining    = 10 * time.Second
	drainFactor = 4
)

// fail answers a request that could not be stored.
func (in *Intake) fail(c *gin.Context, to *connector, err error) {
	status, text := explain(err)
	in.refuse(c, to, status, text)
}

// explain turns an error into a status and a text for whoever runs the sender.
func explain(err error) (status int, text string) {
	var f *failure
	switch {
	case errors.As(err, &f):
		return f.status, f.text
	case errors.Is(err, currents.ErrNotJSON):
		return http.StatusBadRequest, fmt.Sprintf(`%v; send one JSON object {"events":[…]}`, err)
	case errors.Is(err, currents.ErrNoEvents):
		return http.StatusBadRequest, `the body has no array called events; send {"events":[…]}`
	case errors.Is(err, currents.ErrTooManyEvents):
		return http.StatusRequestEntityTooLarge, "the body has too many events; send fewer in a request"
	case errors.Is(err, errNoRoom), errors.Is(err, errBusy), errors.Is(err, errTooMany):
		return http.StatusServiceUnavailable, "the bridge is busy; send the batch again later"
	case errors.Is(err, queue.ErrTooLarge):
		// Braze halves a batch after a 413, so an event that is too large ends up
		// alone, and Braze drops that one.
		return http.StatusRequestEntityTooLarge, "an event in the batch is larger than the bridge's queue can keep; send fewer events in a request, and do not send one again that is refused alone"
	case errors.Is(err, queue.ErrFull):
		return http.StatusServiceUnavailable, "the bridge has no room to store the batch; send it again later"
	}
	return http.StatusServiceUnavailable, "the bridge could not store the batch; send it again later"
}

// refuse answers with an error. to is nil where no connector is meant.
func (in *Intake) refuse(c *gin.Context, to *connector, status int, text string) {
	control := http.NewResponseController(c.Writer)
	_ = control.SetWriteDeadline(time.Now().Add(in.hearing))
	unread := c.Request.ContentLength != 0
	// Over HTTP/2 an answer ends its own stream, and its neighbours go on.
	alone := c.Request.ProtoMajor == 1
	if unread && alone {
		// net/http would read the rest of the body first, to keep the
		// connection. Nobody who was refused is worth that.
		c.Writer.Header().Set("Connection", "close")
	}
	if unread {
		_ = control.SetReadDeadline(time.Now().Add(in.linger))
	}
	if status == http.StatusServiceUnavailable {
		c.Writer.Header().Set("Retry-After", retryAfter)
	}
	answer, err := json.Marshal(struct {
		Error string `json:"error"`
	}{text})
	if err != nil {
		answer = []byte(`{"error":""}`)
	}
	answer = append(answer, '\n')
	if alone && to != nil && (status == http.StatusRequestEntityTooLarge || status == http.StatusUnsupportedMediaType) {
		in.answerAndDrain(c, to, status, answer)
		return
	}
	in.answer(c, to, status, answer)
}

// answerAndDrain answers a sender whose token is good, and then takes in the
// rest of its body: many clients write the whole body before they read, and
// would see a broken connection instead of the 413 that tells them what to do.
func (in *Intake) answerAndDrain(c *gin.Context, to *connector, status int, body []byte) {
	control := http.NewResponseController(c.Writer)
	// Without it net/http reads the body before it writes the answer.
	full := control.EnableFullDuplex() == nil
	in.answer(c, to, status, body)
	if !full || control.Flush() != nil || c.Request.Header.Get("Expect") != "" {
		return // who asks first has not sent it
	}
	_ = control.SetReadDeadline(time.Now().Add(in.drainTime))
	// What comes is thrown away; who goes on for longer is cut off.
	_, _ = io.CopyN(io.Discard, c.Request.Body, drainFactor*in.cfg.MaxBody)
}

func (in *Intake) answer(c *gin.Context, to *connector, status int, body []byte) {
	header := c.Writer.Header()
	header["Content-Type"] = contentType
	header["X-Content-Type-Options"] = noSniff
	c.Writer.WriteHeader(status)
	// Whoever has hung up asks again.
	_, _ = c.Writer.Write(body)
	in.metrics.answered(to, status)
}

// Shared by all answers; net/http only reads them.
var (
	contentType = []string{"application/json; charset=utf-8"}
	noSniff     = []string{"nosniff"}
)

func nameOf(to *connector) string {
	if to == nil {
		return ""
	}
	return to.Name
}
