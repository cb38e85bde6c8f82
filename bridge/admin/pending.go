package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"

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

func pendingEvents(r *request) (any, error) {
	limit := r.limit()
	if r.err != nil {
		return nil, r.err
	}
	list, err := each(r.connectors, func(c Connector) (p ConnectorPending, err error) {
		l := c.Queue.Ledger()
		p = ConnectorPending{c.Name, l.Pending(), waited(l, r.now), c.destination(), 0, []delivery.ParkedEvent{}}
		if c.Sender != nil {
			var suspects []delivery.ParkedEvent
			suspects, p.Parked, err = c.Sender.Parked(r.ctx, limit)
			p.Suspects = append(p.Suspects, suspects...)
		}
		return p, err
	})
	return PendingList{list}, err
}

func (r *request) place(record, index string) (connector Connector, seq uint64, i int, err error) {
	seq, wrong := strconv.ParseUint(record, 10, 64)
	i, wrongIndex := strconv.Atoi(index)
	r.refuse(wrong != nil || wrongIndex != nil || seq == 0 || i < 0, "say which event: the number of its record and its index, as bridge pending list shows them")
	r.refuse(len(r.connectors) != 1, "say which connector")
	if r.err == nil {
		connector = r.connectors[0]
	}
	return connector, seq, i, r.err
}

// maxSuspects is how many suspected events are looked through for one.
const maxSuspects = 100_000

func onePending(r *request) (any, error) {
	connector, seq, index, err := r.place(r.Param("record"), r.Param("index"))
	if err != nil {
		return nil, err
	}
	records, err := connector.Queue.Pending(r.ctx, seq-1, 1)
	if err != nil {
		return nil, err
	}
	answer := PendingEvent{Connector: connector.Name, Record: seq, Index: index}
	for _, record := range records {
		for _, e := range record.Events {
			if record.Seq == seq && e.Index == index {
				answer.Event = textOf(e.Raw)
			}
		}
	}
	if answer.Event == nil {
		return nil, refusal{http.StatusNotFound, "this event is not pending (any more)"}
	}
	if connector.Sender == nil {
		return answer, nil
	}
	suspects, _, err := connector.Sender.Parked(r.ctx, maxSuspects)
	if i := slices.IndexFunc(suspects, func(e delivery.ParkedEvent) bool { return e.Seq == seq && e.Index == index }); i >= 0 {
		answer.Suspect = &suspects[i]
	}
	return answer, err
}

func setAside(r *request) (any, error) {
	connector, seq, index, err := r.place(r.values.Get("record"), r.values.Get("index"))
	if err == nil {
		_, err = delivered(r.connectors)
	}
	if err == nil {
		err = connector.Sender.DeadLetter(r.ctx, seq, index)
	}
	if errors.Is(err, delivery.ErrNotParked) {
		err = refusal{http.StatusConflict, "this event is not suspected: it was delivered, is being sent, or waits for its turn; bridge pending list shows the suspected ones"}
	}
	if err != nil {
		return nil, err
	}
	r.admin.cfg.Log.Info("a suspected event was moved to the dead letters by hand", "connector", connector.Name, "record", seq, "index", index)
	return Moved{Moved: 1, Connectors: []Moved{{Connector: connector.Name, Moved: 1}}}, nil
}
