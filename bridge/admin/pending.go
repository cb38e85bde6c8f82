package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// PendingList is what /api/pending answers: what is pending and why.
type PendingList struct {
	Connectors []ConnectorPending `json:"connectors"`
}

// ConnectorPending is what is pending of one connector.
type ConnectorPending struct {
	Connector            string      `json:"connector"`
	Pending              uint64      `json:"pending"` // events
	OldestPendingSeconds float64     `json:"oldest_pending_seconds"`
	Destination          Destination `json:"destination"`
	// Parked counts the suspected events: each failed while others were accepted,
	// and is tried again in between. Suspects are the first of them.
	Parked   int                    `json:"parked"`
	Suspects []delivery.ParkedEvent `json:"suspects"`
}

// PendingEvent is what /api/pending/RECORD/INDEX answers: one pending event, and
// why it waits where it is suspected.
type PendingEvent struct {
	Connector string                `json:"connector"`
	Record    uint64                `json:"record"`
	Index     int                   `json:"index"`
	Suspect   *delivery.ParkedEvent `json:"suspect,omitempty"`
	Event     json.RawMessage       `json:"event"`
}

// pending lists what is pending.
func (a *Admin) pending(c *gin.Context) {
	values, ok := form(c)
	if !ok {
		return
	}
	connectors, ok := a.meant(c, values)
	if !ok {
		return
	}
	limit, err := strconv.Atoi(c.DefaultQuery("limit", strconv.Itoa(defaultLetters)))
	if err != nil || limit < 1 || limit > maxLetters {
		fail(c, http.StatusBadRequest, "limit must be a number from 1 to "+strconv.Itoa(maxLetters))
		return
	}
	answer := PendingList{Connectors: []ConnectorPending{}}
	for _, connector := range connectors {
		l := connector.Queue.Ledger()
		p := ConnectorPending{Connector: connector.Name, Pending: l.Pending(), OldestPendingSeconds: waited(l, a.cfg.Now()),
			Destination: destinationOf(connector), Suspects: []delivery.ParkedEvent{}}
		if connector.Parked != nil {
			suspects, total, err := connector.Parked(c.Request.Context(), limit)
			if err != nil {
				a.unreadable(c, connector, err)
				return
			}
			p.Parked, p.Suspects = total, append(p.Suspects, suspects...)
		}
		answer.Connectors = append(answer.Connectors, p)
	}
	a.show(c, answer)
}

// place reads which event a request means, and of which connector.
func (a *Admin) place(c *gin.Context, record, index string, name string) (connector Connector, seq uint64, i int, ok bool) {
	seq, err := strconv.ParseUint(record, 10, 64)
	n, err2 := strconv.Atoi(index)
	if err != nil || err2 != nil || seq == 0 || n < 0 {
		fail(c, http.StatusBadRequest, "say which event: the number of its record and its index, as bridge pending list shows them")
		return connector, 0, 0, false
	}
	values := c.Request.URL.Query()
	values.Set("connector", name)
	connectors, ok := a.meant(c, values)
	switch {
	case !ok:
	case len(connectors) == 1:
		return connectors[0], seq, n, true
	default:
		fail(c, http.StatusBadRequest, "say which connector")
	}
	return connector, 0, 0, false
}

// pendingEvent shows one pending event.
func (a *Admin) pendingEvent(c *gin.Context) {
	connector, seq, index, ok := a.place(c, c.Param("record"), c.Param("index"), c.Query("connector"))
	if !ok {
		return
	}
	records, err := connector.Queue.Pending(c.Request.Context(), seq-1, 1)
	if err != nil {
		a.unreadable(c, connector, err)
		return
	}
	for _, r := range records {
		for _, e := range r.Events {
			if r.Seq != seq || e.Index != index {
				continue
			}
			answer := PendingEvent{Connector: connector.Name, Record: seq, Index: index, Event: letterOf("", queue.DeadLetter{Event: e.Raw}).Event}
			answer.Suspect, err = suspect(c.Request.Context(), connector, seq, index)
			if err != nil {
				a.unreadable(c, connector, err)
				return
			}
			a.show(c, answer)
			return
		}
	}
	fail(c, http.StatusNotFound, "this event is not pending (any more)")
}

func suspect(ctx context.Context, connector Connector, seq uint64, index int) (*delivery.ParkedEvent, error) {
	if connector.Parked == nil {
		return nil, nil
	}
	list, _, err := connector.Parked(ctx, maxSuspects)
	for i := range list {
		if list[i].Seq == seq && list[i].Index == index {
			return &list[i], err
		}
	}
	return nil, err
}

// maxSuspects is how many suspected events are looked through for one.
const maxSuspects = 100_000

// deadLetter moves a suspected event to the dead letters by hand.
func (a *Admin) deadLetter(c *gin.Context) {
	values, ok := form(c)
	if !ok {
		return
	}
	connector, seq, index, ok := a.place(c, values.Get("record"), values.Get("index"), values.Get("connector"))
	if !ok {
		return
	}
	if connector.DeadLetter == nil {
		fail(c, http.StatusConflict, "this connector is not in the configuration, so nobody delivers for it")
		return
	}
	err := connector.DeadLetter(c.Request.Context(), seq, index)
	switch {
	case errors.Is(err, delivery.ErrNotParked):
		fail(c, http.StatusConflict, "this event is not suspected: it was delivered, is being sent, or waits for its turn; bridge pending list shows the suspected ones")
	case err != nil:
		a.unreadable(c, connector, err)
	default:
		a.cfg.Log.Info("a suspected event was moved to the dead letters by hand", "connector", connector.Name, "record", seq, "index", index)
		c.JSON(http.StatusOK, Moved{Moved: 1, Connectors: []ConnectorMoved{{Connector: connector.Name, Moved: 1}}})
	}
}

// backup answers with a copy of the store as it is at one moment.
func (a *Admin) backup(c *gin.Context) {
	if a.cfg.Backup == nil {
		fail(c, http.StatusConflict, "there is no embedded store to back up; PostgreSQL has tools of its own, such as pg_dump")
		return
	}
	dir, err := os.MkdirTemp(a.cfg.BackupDir, "backup-")
	if err != nil {
		fail(c, http.StatusInternalServerError, err.Error())
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "queue.db")
	patient(c)
	if err := a.cfg.Backup(c.Request.Context(), file); err != nil {
		fail(c, http.StatusInternalServerError, err.Error())
		return
	}
	a.cfg.Log.Info("the store was backed up")
	c.Header("Content-Type", "application/vnd.sqlite3")
	c.File(file)
}
