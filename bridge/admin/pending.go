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
func (a *Admin) pending(r request) (any, error) {
	limit, err := r.limit()
	if err != nil {
		return nil, err
	}
	answer := PendingList{Connectors: []ConnectorPending{}}
	for _, connector := range r.connectors {
		l := connector.Queue.Ledger()
		p := ConnectorPending{Connector: connector.Name, Pending: l.Pending(), OldestPendingSeconds: waited(l, a.cfg.Now()),
			Destination: destinationOf(connector), Suspects: []delivery.ParkedEvent{}}
		if connector.Sender != nil {
			suspects, total, err := connector.Sender.Parked(r.ctx, limit)
			if err != nil {
				return nil, connector.failed(err)
			}
			p.Parked, p.Suspects = total, append(p.Suspects, suspects...)
		}
		answer.Connectors = append(answer.Connectors, p)
	}
	return answer, nil
}

// place reads which event a request means, and of which connector.
func place(r request, record, index string) (connector Connector, seq uint64, i int, err error) {
	seq, err = strconv.ParseUint(record, 10, 64)
	i, err2 := strconv.Atoi(index)
	switch {
	case err != nil || err2 != nil || seq == 0 || i < 0:
		return connector, 0, 0, bad("say which event: the number of its record and its index, as bridge pending list shows them")
	case len(r.connectors) != 1:
		return connector, 0, 0, bad("say which connector")
	}
	return r.connectors[0], seq, i, nil
}

// pendingEvent shows one pending event.
func (a *Admin) pendingEvent(r request) (any, error) {
	connector, seq, index, err := place(r, r.Param("record"), r.Param("index"))
	if err != nil {
		return nil, err
	}
	records, err := connector.Queue.Pending(r.ctx, seq-1, 1)
	if err != nil {
		return nil, connector.failed(err)
	}
	for _, record := range records {
		for _, e := range record.Events {
			if record.Seq == seq && e.Index == index {
				why, err := suspect(r.ctx, connector, seq, index)
				return PendingEvent{Connector: connector.Name, Record: seq, Index: index, Event: textOf(e.Raw), Suspect: why}, connector.failed(err)
			}
		}
	}
	return nil, refuse(http.StatusNotFound, "this event is not pending (any more)")
}

func suspect(ctx context.Context, connector Connector, seq uint64, index int) (*delivery.ParkedEvent, error) {
	if connector.Sender == nil {
		return nil, nil
	}
	list, _, err := connector.Sender.Parked(ctx, maxSuspects)
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
func (a *Admin) deadLetter(r request) (any, error) {
	connector, seq, index, err := place(r, r.values.Get("record"), r.values.Get("index"))
	if err != nil {
		return nil, err
	}
	if connector.Sender == nil {
		return nil, refuse(http.StatusConflict, "this connector is not in the configuration, so nothing delivers its events")
	}
	err = connector.Sender.DeadLetter(r.ctx, seq, index)
	switch {
	case errors.Is(err, delivery.ErrNotParked):
		return nil, refuse(http.StatusConflict, "this event is not suspected: it was delivered, is being sent, or waits for its turn; bridge pending list shows the suspected ones")
	case err != nil:
		return nil, connector.failed(err)
	}
	a.cfg.Log.Info("a suspected event was moved to the dead letters by hand", "connector", connector.Name, "record", seq, "index", index)
	return Moved{Moved: 1, Connectors: []ConnectorMoved{{Connector: connector.Name, Moved: 1}}}, nil
}

// backup answers with a copy of the store as it is at one moment.
func (a *Admin) backup(c *gin.Context) {
	dir, err := os.MkdirTemp(a.cfg.BackupDir, "backup-")
	if err != nil {
		fail(c, http.StatusInternalServerError, err.Error())
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "queue.db")
	patient(c)
	if err := a.cfg.Bridge.Backup(c.Request.Context(), file); err != nil {
		status := http.StatusInternalServerError
		if errors.Is(err, ErrNoStore) {
			status = http.StatusConflict
		}
		fail(c, status, err.Error())
		return
	}
	a.cfg.Log.Info("the store was backed up")
	c.Header("Content-Type", "application/vnd.sqlite3")
	c.File(file)
}
