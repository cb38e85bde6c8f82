package intake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

const (
	// retryAfter is what a 503 asks for, in seconds. Braze goes on for days with a
	// backoff of its own.
	retryAfter = "5"
	// lingerTime is how long the rest of a refused body may come in after the
	// response, so that a client that writes before it reads sees the response.
	lingerTime = time.Second
	// drainTime and drainFactor bound the same for a sender whose token is good:
	// in time, and in sizes of the largest body.
	drainTime   = 10 * time.Second
	drainFactor = 4
	// writeTime is how long a client may take to read a refusal, or any response
	// over HTTP/2. A response is smaller than a socket's buffer and a usual
	// flow-control window, so only a client that does not read takes time.
	writeTime = time.Second
)

// Explain turns an error into a status of HTTP and a text for the operator of
// the sender. What may go better later has the status 503.
func Explain(err error) (status int, text string) {
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
	case errors.Is(err, errBusy):
		return http.StatusServiceUnavailable, "the bridge is busy; send the batch again later"
	case errors.Is(err, queue.ErrTooLarge):
		// Braze halves a batch after a 413, so an event that is too large ends up
		// alone, and Braze drops that one.
		return http.StatusRequestEntityTooLarge, "the batch, or an event in it, is larger than the bridge's queue can keep; send fewer events in a request, and do not send one again that is refused alone"
	case errors.Is(err, queue.ErrFull):
		return http.StatusServiceUnavailable, "the bridge has no room to store the batch; send it again later"
	case errors.Is(err, queue.ErrAway):
		return http.StatusServiceUnavailable, "the bridge's disk or database does not answer; send the batch again later"
	case errors.Is(err, errBug):
		return http.StatusInternalServerError, "the bridge failed at this request, which is a bug of the bridge; its log says where; send the batch again"
	}
	return http.StatusServiceUnavailable, "the bridge could not store the batch; send it again later"
}

func (in *Intake) fail(c *gin.Context, to *connector, err error) {
	status, text := Explain(err)
	in.refuse(c, to, status, text)
}

// refuseUntrusted responds with an error to a sender that has not shown a good
// token, and ends the connection. to is nil where no connector is meant.
func (in *Intake) refuseUntrusted(c *gin.Context, to *connector, status int, text string) {
	c.Writer.Header().Set("Connection", "close") // over HTTP/2: GOAWAY
	if c.Request.ProtoMajor == 1 {
		in.refuse(c, to, status, text)
		return
	}
	// Without a body there is no flow-control window to wait for.
	in.setRetryAfter(c, status)
	c.Writer.WriteHeader(status)
	c.Writer.WriteHeaderNow()
	in.metrics.responded(to, status)
}

func (in *Intake) setRetryAfter(c *gin.Context, status int) {
	if status == http.StatusServiceUnavailable {
		c.Writer.Header().Set("Retry-After", retryAfter)
	}
}

func (in *Intake) refuse(c *gin.Context, to *connector, status int, text string) {
	control := http.NewResponseController(c.Writer)
	_ = control.SetWriteDeadline(time.Now().Add(writeTime))
	unread := c.Request.ContentLength != 0
	// Over HTTP/2 a response ends its own stream, and the other streams go on.
	alone := c.Request.ProtoMajor == 1
	if unread && alone {
		// net/http would read the rest of the body first, to keep the connection.
		c.Writer.Header().Set("Connection", "close")
	}
	if unread {
		_ = control.SetReadDeadline(time.Now().Add(lingerTime))
	}
	in.setRetryAfter(c, status)
	response, _ := json.Marshal(map[string]string{"error": text})
	response = append(response, '\n')
	if alone && to != nil && (status == http.StatusRequestEntityTooLarge || status == http.StatusUnsupportedMediaType) {
		in.respondAndDrain(c, to, status, response)
		return
	}
	in.respond(c, to, status, response)
}

// respondAndDrain responds to a sender whose token is good, and then reads the
// rest of its body: many clients write the whole body before they read, and would
// see a broken connection instead of the 413 that tells them what to do.
func (in *Intake) respondAndDrain(c *gin.Context, to *connector, status int, body []byte) {
	control := http.NewResponseController(c.Writer)
	// Without it net/http reads the body before it writes the response.
	full := control.EnableFullDuplex() == nil
	// With it the response is complete once it is flushed.
	c.Writer.Header().Set("Content-Length", strconv.Itoa(len(body)))
	in.respond(c, to, status, body)
	if !full || control.Flush() != nil || c.Request.Header.Get("Expect") != "" {
		return // a sender that asks first has not sent the body
	}
	_ = control.SetReadDeadline(time.Now().Add(drainTime))
	_, _ = io.CopyN(io.Discard, c.Request.Body, drainFactor*in.cfg.MaxBody)
}

func (in *Intake) accepted(c *gin.Context, to *connector, r queue.Receipt) {
	if c.Request.ProtoMajor > 1 {
		_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(writeTime))
	}
	var stack [96]byte
	response := append(stack[:0], `{"accepted":`...)
	response = strconv.AppendInt(response, int64(r.Accepted), 10)
	response = append(response, `,"duplicates":`...)
	response = strconv.AppendInt(response, int64(r.Duplicates), 10)
	response = append(response, `,"dead":`...)
	response = strconv.AppendInt(response, int64(r.Dead), 10)
	response = append(response, '}', '\n')
	in.respond(c, to, http.StatusOK, response)
}

func (in *Intake) respond(c *gin.Context, to *connector, status int, body []byte) {
	header := c.Writer.Header()
	header["Content-Type"] = contentType
	header["X-Content-Type-Options"] = noSniff
	c.Writer.WriteHeader(status)
	// A client that is gone sends the batch again.
	_, _ = c.Writer.Write(body)
	in.metrics.responded(to, status)
}

// Shared by all responses; net/http only reads them.
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

var errBug = errors.New("bug of the bridge")

// rescue, deferred, keeps a bug in the handling of one request from ending the
// process, and from passing in silence. to is nil where no connector is meant.
func (in *Intake) rescue(c *gin.Context, to *connector) {
	found := recover()
	if found == nil {
		return
	}
	if err, ok := found.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(found) // net/http's own way to end a connection
	}
	in.logBug(to, found)
	if c.Writer.Written() {
		panic(http.ErrAbortHandler) // half a response must not look like a whole one
	}
	in.fail(c, to, errBug)
}

// logBug logs a panic with its place in the code, and nothing of the request.
// Only Go's own errors are sure to hold nothing of it; of others the log gets the
// type.
func (in *Intake) logBug(to *connector, found any) {
	text := fmt.Sprintf("%T", found)
	if err, ok := found.(runtime.Error); ok {
		text = err.Error()
	}
	in.cfg.Log.Error("a request ended in a bug of the bridge; please report it",
		"connector", nameOf(to), "panic", text, "stack", string(debug.Stack()))
}
