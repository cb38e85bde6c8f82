package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
	"unsafe"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/gzip"
	"golang.org/x/sync/semaphore"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/sourceloss"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
	"github.com/currentsbridge/currentsbridge/internal/progress"
)

// errBusy means that the requests in flight are too many, or that their bodies take all
// the memory they may.
var errBusy = errors.New("too many requests in flight, or bytes in them")

func (in *Intake) take(c *gin.Context, to *connector) {
	if on, ok := c.Request.Context().Value(connKey{}).(*conn); ok {
		on.trust()
	}
	defer in.rescue(c, to)
	begin := time.Now()
	r := c.Request
	h := in.hold(to)
	if h == nil {
		in.fail(c, to, errBusy)
		return
	}
	defer h.done()
	compressed, ok := encoding(r)
	if !ok {
		c.Writer.Header().Set("Accept-Encoding", "gzip")
		in.refuse(c, to, http.StatusUnsupportedMediaType, "only gzip is taken as Content-Encoding; send the body uncompressed or with gzip")
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
	var err error
	if h.body, err = in.read(c.Writer, r, to, compressed); err != nil {
		in.fail(c, to, err)
		return
	}
	receipt, err := in.store(h, queue.Batch{ReceivedAt: begin})
	if err != nil {
		in.fail(c, to, err)
		return
	}
	in.accepted(c, to, receipt)
	crashpoint.At("intake.answered")
	to.metrics.bytes.Add(float64(len(h.body.data)))
	if receipt != (queue.Receipt{}) {
		to.metrics.ack.Observe(time.Since(begin).Seconds())
	}
}

// held is what a request takes of what all share.
type held struct {
	in      *Intake
	to      *connector
	places  *semaphore.Weighted // of requests in flight
	body    *buffer
	list    *itemList
	extra   int64 // bytes of list beyond a usual one, of extraAt
	extraAt *semaphore.Weighted
}

func (in *Intake) hold(to *connector) *held {
	places := to.requests.take(1)
	if places == nil {
		return nil
	}
	in.inFlight.Add(1)
	return &held{in: in, to: to, places: places}
}

func (h *held) done() {
	if h.body != nil {
		h.in.buffers.put(h.body)
	}
	if h.extraAt != nil {
		h.in.buffers.release(h.extraAt, h.extra)
	}
	if h.list != nil && cap(h.list.items) <= keptEvents {
		h.in.lists.Put(h.list)
	}
	h.places.Release(1)
	h.in.inFlight.Add(-1)
}

// store puts the events of a body into the connector's queue, as a batch that
// says where they come from, and returns once they are on disk. A blank body,
// Braze's probe of the credentials, has none.
func (in *Intake) store(h *held, batch queue.Batch) (queue.Receipt, error) {
	body := h.body.data
	if currents.IsBlank(body) {
		return queue.Receipt{}, nil
	}
	changed, err := in.classify(h)
	if err != nil || len(h.list.items) == 0 {
		return queue.Receipt{}, err
	}
	batch.Body, batch.Items = body, h.list.items
	// A client that hangs up changes nothing: the batch is stored or it is not, and Braze
	// sends it again if it has no response.
	receipt, err := h.to.Queue.Append(context.Background(), batch)
	if err != nil {
		in.storeFailed(h.to, err)
		return queue.Receipt{}, err
	}
	h.to.metrics.changed.Add(float64(changed))
	return receipt, nil
}

// classify finds the events and says what becomes of each. It returns how many of
// them RudderStack's own mapping will change.
func (in *Intake) classify(h *held) (changed int, err error) {
	h.list = in.lists.Get().(*itemList)
	scanErr := in.scanners.scan(h.body.data, func(s *scanner) {
		if err = h.grow(len(s.batch.Events)); err != nil {
			return
		}
		for i := range s.batch.Events {
			e := &s.batch.Events[i]
			item := queue.Item{Start: e.Start, End: e.End, Count: e.Count}
			s.setType(e.Type)
			problem := e.Problem()
			var loss sourceloss.Loss
			if h.to.Mode == config.Webhook && e.Object {
				loss = sourceloss.Of(h.body.data[e.Start:e.End])
				problem = loss.Reason
			}
			item.Fate, item.Reason = h.to.fate(e, s.typeText, problem)
			item.ID = s.hash(e.ID)
			if item.Fate == queue.Pending && loss.Changed {
				changed++
			}
			if item.Fate != queue.Dead || !h.join(item, e) {
				h.list.items = append(h.list.items, item)
			}
		}
	})
	return changed, errors.Join(scanErr, err)
}

// join counts a dead element with the one before it, where both have the same bytes,
// and no id by which a repeat would be known: a small body may have hundreds of
// thousands, and each letter is a row. Only what no replay can help is joined.
func (h *held) join(item queue.Item, e *currents.Event) bool {
	n := len(h.list.items)
	if n == 0 || item.ID != (queue.Hash{}) || e.Problem() == "" {
		return false
	}
	last, body := &h.list.items[n-1], h.body.data
	if last.Fate != queue.Dead || !bytes.Equal(body[last.Start:last.End], body[item.Start:item.End]) {
		return false
	}
	last.Count += item.Count
	return true
}

// keptEvents is how many events' memory is kept for the next request. Braze
// sends 100 at most.
const keptEvents = 4096

type itemList struct{ items []queue.Item }

// grow makes the list ready for n events. The memory for very many of them comes
// out of what the connector may take for large bodies.
func (h *held) grow(n int) error {
	h.list.items = h.list.items[:0]
	if n <= cap(h.list.items) {
		return nil
	}
	if n > keptEvents {
		h.extra = int64(n) * int64(unsafe.Sizeof(queue.Item{}))
		if h.extraAt = h.in.buffers.take(h.to.large, h.extra); h.extraAt == nil {
			return errBusy
		}
	}
	h.list.items = make([]queue.Item, 0, n)
	return nil
}

// fate decides what can be decided of an event before it is sent, given its type
// as text and what is wrong with it. What the connector's configuration drops is
// filtered, whatever else is wrong with it, as long as it is an event.
func (c *connector) fate(e *currents.Event, eventType []byte, problem currents.Reason) (queue.Fate, string) {
	if problem == currents.NotAnObject || problem == currents.NoEventType {
		return queue.Dead, string(problem)
	}
	if !c.types.KeepsType(eventType) {
		return queue.Filtered, ""
	}
	external := c.MissingExternalUserID
	if external == config.Deliver || currents.UsableIdentity(e.ExternalUserID) {
		external = ""
	}
	switch {
	case problem == currents.NoIdentity && c.NoIdentity == config.Drop, problem != currents.NoIdentity && external == config.Drop:
		return queue.Filtered, ""
	case problem != "":
		return queue.Dead, string(problem)
	case external == config.Dead:
		return queue.Dead, ReasonNoExternalUserID
	}
	return queue.Pending, ""
}

func (in *Intake) storeFailed(to *connector, err error) {
	if errors.Is(err, queue.ErrTooLarge) {
		to.oversized.Do(func() {
			in.cfg.Log.Error("a batch is larger, or an event in it is, than the queue can keep; Braze was asked to send less at once, and drops an event that is refused alone",
				"connector", to.Name, "error", err)
		})
		return
	}
	to.failed.Do(func() {
		in.cfg.Log.Error("batches could not be stored; Braze was asked to retry", "connector", to.Name, "error", err)
	})
}

const maxVersionName = 32

// noteVersion counts and logs requests of a version of Currents that is not
// known here. They are taken: Braze says that what is there stays as it is.
func (in *Intake) noteVersion(r *http.Request, to *connector) {
	version := r.Header.Get("Braze-Currents-Version")
	if version == "" || version == "1" {
		return
	}
	to.metrics.version.Inc()
	to.version.Do(func() {
		in.cfg.Log.Warn("Braze sends a version of Currents that is not known here; its events are taken",
			"connector", to.Name, "version", version[:min(len(version), maxVersionName)])
	})
}

// Backfill stores a body {"events":[…]} out of storage exports for the connector
// of this name, as if Braze had posted it, and returns once it is on disk. Its
// events count as backfilled, and are delivered where no others are pending.
// Explain says what an error means.
func (in *Intake) Backfill(name string, body io.Reader) (queue.Receipt, error) {
	to := in.table.Load().byName[name]
	if to == nil {
		return queue.Receipt{}, &failure{http.StatusNotFound, fmt.Sprintf("connector %q is not in the configuration", name)}
	}
	h := in.hold(to)
	if h == nil {
		return queue.Receipt{}, errBusy
	}
	defer h.done()
	begin := time.Now()
	from := &bodyReader{body: body, left: in.cfg.MaxBody, end: begin.Add(bodyTime), deadlines: http.NewResponseController(nil)}
	var err error
	if h.body, err = in.fill(to, from, from); err != nil {
		return queue.Receipt{}, err
	}
	return in.store(h, queue.Batch{ReceivedAt: begin, Backfilled: true})
}

// read reads and uncompresses a whole body. The buffer goes back with put.
func (in *Intake) read(w http.ResponseWriter, r *http.Request, to *connector, compressed bool) (*buffer, error) {
	in.metrics.reading.Inc()
	defer in.metrics.reading.Dec()
	control, end := http.NewResponseController(w), time.Now().Add(bodyTime)
	from := &bodyReader{body: r.Body, left: in.cfg.MaxBody, end: end, deadlines: control}
	if !compressed {
		return in.fill(to, from, from)
	}
	room := in.buffers.take(to.small, gzipSize)
	if room == nil {
		return nil, errBusy
	}
	defer in.buffers.release(room, gzipSize)
	uncompressed := in.gzips.Get().(*gzip.Reader)
	defer in.gzips.Put(uncompressed)
	err := uncompressed.Reset(from)
	if errors.Is(err, io.EOF) && from.left == in.cfg.MaxBody { // no byte at all: an empty body
		return in.buffers.get(0, to)
	}
	if errors.Is(err, io.EOF) { // some headers that are cut short end so
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, in.broken(from, err)
	}
	return in.fill(to, uncompressed, from)
}

func (in *Intake) fill(to *connector, source io.Reader, from *bodyReader) (*buffer, error) {
	b, err := in.buffers.get(0, to)
	if err != nil {
		return nil, err
	}
	whole := false
	defer func() {
		if !whole { // on every error
			in.buffers.put(b)
		}
	}()
	for {
		n, err := source.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		switch {
		case int64(len(b.data)) > in.cfg.MaxBody:
			err = in.tooLarge()
		case errors.Is(err, io.EOF):
			whole = true
			return b, nil
		case err != nil:
			err = in.broken(from, err)
		case len(b.data) == cap(b.data):
			b, err = in.buffers.grow(b, to)
		}
		if err != nil {
			return nil, err
		}
	}
}

func (in *Intake) tooLarge() error {
	return &failure{http.StatusRequestEntityTooLarge,
		fmt.Sprintf("the body is larger than %s uncompressed; send fewer events in a request, or raise max_body", progress.Bytes(in.cfg.MaxBody))}
}

func (in *Intake) broken(from *bodyReader, err error) error {
	switch {
	case errors.Is(from.err, errTooLong):
		return in.tooLarge()
	case errors.Is(from.err, os.ErrDeadlineExceeded):
		return &failure{http.StatusRequestTimeout, "the body did not come in time; send it again"}
	case from.err != nil:
		return &failure{http.StatusBadRequest, "the body could not be read to its end; send it again"}
	}
	return &failure{http.StatusBadRequest, fmt.Sprintf("the body is not what Content-Encoding: gzip says (%v); send it again", err)}
}
