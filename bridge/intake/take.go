package intake

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// take reads, judges and stores the body of a request whose token is good.
func (in *Intake) take(c *gin.Context, to *connector) {
	defer in.rescue(c, to)
	begin := time.Now()
	r := c.Request
	if !to.requests.take(1) {
		in.fail(c, to, errTooMany)
		return
	}
	defer to.requests.give(1)
	packed, ok := encoding(r)
	if !ok {
		c.Writer.Header().Set("Accept-Encoding", "gzip")
		in.refuse(c, to, http.StatusUnsupportedMediaType, "only gzip is taken as Content-Encoding; send the body as it is, or packed with gzip")
		return
	}
	if unmeasured(r) {
		in.refuse(c, to, http.StatusLengthRequired, "nothing says how long the body is; send its Content-Length")
		return
	}
	if r.ContentLength > in.cfg.MaxBody {
		in.fail(c, to, in.tooLarge())
		return
	}
	in.noteVersion(r, to)
	body, err := in.read(c.Writer, r, to.room, packed)
	if err != nil {
		in.fail(c, to, err)
		return
	}
	defer in.buffers.put(body)
	receipt, err := in.store(to, body.data, begin)
	if err != nil {
		in.fail(c, to, err)
		return
	}
	in.accepted(c, to, receipt)
	crashpoint.At("intake.answered")
	to.metrics.bytes.Add(float64(len(body.data)))
	if receipt != (queue.Receipt{}) {
		to.metrics.ack.Observe(time.Since(begin).Seconds())
	}
}

// store puts the events of a body into the connector's queue and returns once
// they are on disk. A blank body, Braze's probe of the credentials, has none.
func (in *Intake) store(to *connector, body []byte, at time.Time) (queue.Receipt, error) {
	if currents.IsBlank(body) {
		return queue.Receipt{}, nil
	}
	if !to.appends.wait(in.cfg.Patience) {
		return queue.Receipt{}, errBusy
	}
	defer to.appends.give(1)
	list := in.items.get()
	defer in.items.put(list)
	changed, err := in.judge(to, body, list)
	if err != nil {
		return queue.Receipt{}, err
	}
	if len(list.items) == 0 {
		return queue.Receipt{}, nil
	}
	if extra := list.extra(); extra > 0 {
		if !to.room.large.take(extra) {
			return queue.Receipt{}, errNoRoom
		}
		defer to.room.large.give(extra)
	}
	// A client that hangs up changes nothing: the batch is stored or it is not,
	// and Braze sends it again if it has not heard.
	receipt, err := to.Queue.Append(context.Background(), queue.Batch{Body: body, Items: list.items, ReceivedAt: at})
	if err != nil {
		in.storeFailed(to, err)
		return queue.Receipt{}, err
	}
	to.metrics.changed.Add(float64(changed))
	return receipt, nil
}

// errTooMany means that too many requests are under way.
var errTooMany = errors.New("too many requests under way")

// errBusy means that too many requests wait for the disk.
var errBusy = errors.New("too many requests wait for the disk")

// judge finds the events and says what becomes of each. It returns how many of
// them RudderStack's own mapping will change.
func (in *Intake) judge(to *connector, body []byte, list *itemList) (changed int, err error) {
	err = in.scanners.scan(body, func(s *scanner) {
		list.items = slices.Grow(list.items, len(s.batch.Events))
		for i := range s.batch.Events {
			e := &s.batch.Events[i]
			item := queue.Item{Start: e.Start, End: e.End}
			item.Fate, item.Reason = to.fate(e)
			id, ok := currents.AppendID(s.id[:0], e.ID)
			if ok {
				item.ID = queue.HashID(id)
			}
			s.id = id
			if to.Webhook && item.Fate == queue.Pending && e.Changed() {
				changed++
			}
			list.items = append(list.items, item)
		}
	})
	return changed, err
}

// fate decides what can be decided of an event before it is sent.
func (c *connector) fate(e *currents.Event) (queue.Fate, string) {
	problem := e.Problem()
	if c.Webhook {
		problem = e.WebhookProblem()
	}
	if problem != "" {
		return queue.Dead, string(problem)
	}
	if c.MissingExternalUserID == Deliver || c.MissingExternalUserID == "" || e.HasExternalUserID() {
		return queue.Pending, ""
	}
	if c.MissingExternalUserID == Drop {
		return queue.Filtered, ""
	}
	return queue.Dead, ReasonNoExternalUserID
}

// storeFailed logs that a batch could not be stored, not each time.
func (in *Intake) storeFailed(to *connector, err error) {
	if errors.Is(err, queue.ErrTooLarge) {
		if n := to.oversized.allow(); n > 0 {
			in.cfg.Log.Error("a batch has an event that is larger than the queue can keep; Braze was told to send less at once, and drops an event that is refused alone",
				"connector", to.Name, "error", err, "batches", n)
		}
		return
	}
	if n := to.failures.allow(); n > 0 {
		in.cfg.Log.Error("batches could not be stored; Braze was asked to come again", "connector", to.Name, "error", err, "batches", n)
	}
}

// noteVersion counts and logs requests of a version of Currents that is not
// known here. They are taken: Braze says that what is there stays as it is.
func (in *Intake) noteVersion(r *http.Request, to *connector) {
	version := r.Header.Get("Braze-Currents-Version")
	if version == "" || version == "1" {
		return
	}
	to.metrics.version.Inc()
	if name, first := to.versions.note(version); first {
		in.cfg.Log.Warn("Braze sends a version of Currents that is not known here; its events are taken", "connector", to.Name, "version", name)
	}
}

// accepted answers 200 with what became of the events.
func (in *Intake) accepted(c *gin.Context, to *connector, r queue.Receipt) {
	var stack [96]byte
	answer := append(stack[:0], `{"accepted":`...)
	answer = strconv.AppendInt(answer, int64(r.Accepted), 10)
	answer = append(answer, `,"duplicates":`...)
	answer = strconv.AppendInt(answer, int64(r.Duplicates), 10)
	answer = append(answer, `,"dead":`...)
	answer = strconv.AppendInt(answer, int64(r.Dead), 10)
	answer = append(answer, '}', '\n')
	in.answer(c, to, http.StatusOK, answer)
}
