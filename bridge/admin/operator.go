package admin

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/bridge/intake"
)

// Resumed is what /api/resume answers: whose destinations are tried again.
type Resumed struct {
	Resumed []string `json:"resumed"`
}

func resume(r *request) (any, error) {
	connectors, err := delivered(r.connectors)
	if err != nil {
		return nil, err
	}
	names, err := each(connectors, func(c Connector) (string, error) {
		c.Sender.Resume()
		r.admin.cfg.Log.Info("destination is resumed", "connector", c.Name)
		return c.Name, nil
	})
	return Resumed{names}, err
}

// Forgotten is what /api/forget answers, in events: the sums, and of each connector of
// the request.
type Forgotten struct {
	Connector string `json:"connector,omitempty"` // of a part
	History   int    `json:"history"`             // removed from history
	Dead      int    `json:"dead"`                // removed from the dead letters
	// Pending counts what waits for delivery and was left: forget again once it
	// is delivered.
	Pending int `json:"pending"`
	// Unreadable counts records and dead letters that could not be searched, because they
	// cannot be read or are not what was written.
	Unreadable int         `json:"unreadable,omitempty"`
	Connectors []Forgotten `json:"connectors,omitempty"`
}

// forget removes the events of a person from history and dead letters. It may
// take minutes, and the id never reaches the log.
func forget(r *request) (any, error) {
	user := r.values.Get("user")
	if user == "" {
		return nil, bad("user is missing: the external_user_id of the person")
	}
	connectors := r.connectors
	if r.values.Get("connector") == "" {
		connectors = *r.admin.connectors.Load() // where nothing waits there is history all the same
	}
	patient(r.Context)
	var answer Forgotten
	var err error
	answer.Connectors, err = each(connectors, func(c Connector) (Forgotten, error) {
		erased, err := c.Queue.Erase(r.ctx, eventsOf(user))
		if err != nil {
			return Forgotten{}, fmt.Errorf("not everything could be removed, ask again: %w", err)
		}
		r.admin.cfg.Log.Info("a person's events were removed", "connector", c.Name,
			"history", erased.History, "dead", erased.Dead, "pending", erased.Pending, "unreadable", erased.Unreadable)
		answer.History += erased.History
		answer.Dead += erased.Dead
		answer.Pending += erased.Pending
		answer.Unreadable += erased.Unreadable
		return Forgotten{Connector: c.Name, History: erased.History, Dead: erased.Dead, Pending: erased.Pending, Unreadable: erased.Unreadable}, nil
	})
	return answer, err
}

// eventsOf tells whether an event has exactly this external_user_id: a string's
// text, or a number as it is written. It is not safe for concurrent use.
func eventsOf(user string) func(event []byte) bool {
	want := []byte(user)
	var scan currents.Batch
	var text []byte
	return func(event []byte) bool {
		if scan.ScanEvent(event) != nil {
			return false
		}
		id := scan.Events[0].ExternalUserID
		var ok bool
		if text, ok = currents.AppendText(text[:0], id); !ok {
			text, ok = currents.AppendID(text[:0], id) // a number; null, true and the like are no id
		}
		return ok && bytes.Equal(text, want)
	}
}

// Drift is what /api/drift answers: what Braze sent since the start that the
// glossary does not have.
type Drift struct {
	Drift []drift.Item `json:"drift"`
}

func unknown(r *request) (any, error) {
	return Drift{Drift: append([]drift.Item{}, r.admin.cfg.Bridge.Unknown()...)}, nil
}

// Backfilled is what /api/backfill answers, in events. Accepted includes
// Filtered and Dead.
type Backfilled struct {
	Accepted   int `json:"accepted"`
	Duplicates int `json:"duplicates"`
	Filtered   int `json:"filtered"`
	Dead       int `json:"dead"`
}

// maxBackfillPending is how many events of the connector may be pending when more are
// backfilled, so that the disk has space for events from Braze.
const maxBackfillPending = 20_000

// backfill stores the events of a body {"events":[…]} for the connector that the
// query names. 503 is for what may go better later.
func (a *Admin) backfill(c *gin.Context) {
	values := c.Request.URL.Query()
	if values.Get("connector") == "" {
		fail(c, http.StatusBadRequest, "connector is missing: whose events these are")
		return
	}
	connectors, err := a.named(values)
	if err == nil {
		connectors, err = delivered(connectors)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	to := connectors[0]
	if pending := to.Queue.Ledger().Pending(); pending > maxBackfillPending {
		fail(c, http.StatusServiceUnavailable, fmt.Sprintf("%d events are pending already; backfill goes on below %d", pending, maxBackfillPending))
		return
	}
	receipt, err := a.cfg.Bridge.Backfill(to.Name, c.Request.Body)
	if err != nil {
		status, text := intake.Explain(err)
		fail(c, status, text)
		return
	}
	c.JSON(http.StatusOK, Backfilled(receipt))
}

const unfinishedBackup = "unfinished-backup-" // and a number, a directory in BackupDir

// removeBackups removes what a bridge that was killed has left of copies on their way
// to the operator. They have people's data in them.
func (a *Admin) removeBackups() {
	if a.cfg.BackupDir == "" {
		return
	}
	left, err := filepath.Glob(filepath.Join(a.cfg.BackupDir, unfinishedBackup+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		a.cfg.Log.Warn("what is left of an unfinished backup cannot be removed", "error", err)
	}
}

// backup answers with a copy of the store as it is at one moment.
func (a *Admin) backup(c *gin.Context) {
	dir, err := os.MkdirTemp(a.cfg.BackupDir, unfinishedBackup)
	if errors.Is(err, fs.ErrNotExist) { // the embedded store would have made it
		err = ErrNoStore
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "queue.db")
	patient(c)
	if err := a.cfg.Bridge.Backup(c.Request.Context(), file); err != nil {
		a.fail(c, err)
		return
	}
	a.cfg.Log.Info("the store was backed up")
	c.Header("Content-Type", "application/vnd.sqlite3")
	c.File(file)
}
