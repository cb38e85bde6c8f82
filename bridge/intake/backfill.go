package intake

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

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
