package admin

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// How many dead letters one answer has.
const (
	defaultLetters = 100
	maxLetters     = 1000
)

// Letters is what /api/dead answers.
type Letters struct {
	Connector string   `json:"connector"`
	Dead      []Letter `json:"dead"`
	// Next is what to ask for as after to read on; 0: this was the end.
	Next uint64 `json:"next,omitempty"`
}

// Letter is a dead letter with its event as Braze sent it. Where the event is
// nested more deeply than encoding/json goes, it is shown as text, in a string.
type Letter struct {
	queue.DeadLetter
	Event json.RawMessage `json:"event"`
}

func letterOf(d queue.DeadLetter) Letter {
	if json.Valid(d.Event) {
		return Letter{d, d.Event}
	}
	text, err := json.Marshal(string(d.Event))
	if err != nil {
		text = []byte("null")
	}
	return Letter{d, text}
}

// dead lists the dead letters of a connector, the oldest first.
func (a *Admin) dead(c *gin.Context) {
	connector, ok := a.connector(c.Query("connector"))
	if !ok {
		fail(c, http.StatusNotFound, "there is no connector of this name")
		return
	}
	after, err := strconv.ParseUint(c.DefaultQuery("after", "0"), 10, 64)
	if err != nil {
		fail(c, http.StatusBadRequest, "after must be the number of a dead letter")
		return
	}
	limit, err := strconv.Atoi(c.DefaultQuery("limit", strconv.Itoa(defaultLetters)))
	if err != nil || limit < 1 || limit > maxLetters {
		fail(c, http.StatusBadRequest, "limit must be a number from 1 to "+strconv.Itoa(maxLetters))
		return
	}
	letters, err := connector.Queue.Dead(c.Request.Context(), after, limit)
	if err != nil {
		a.cfg.Log.Error("the dead letters could not be read", "connector", connector.Name, "error", err)
		fail(c, http.StatusInternalServerError, "the dead letters could not be read: "+err.Error())
		return
	}
	answer := Letters{Connector: connector.Name, Dead: make([]Letter, len(letters))}
	for i, letter := range letters {
		answer.Dead[i] = letterOf(letter)
	}
	if len(letters) == limit {
		answer.Next = letters[limit-1].Number
	}
	c.Header("Content-Type", "application/json; charset=utf-8")
	encoder := json.NewEncoder(c.Writer)
	encoder.SetEscapeHTML(false) // the event is shown as it came
	if err := encoder.Encode(answer); err != nil {
		a.cfg.Log.Debug("the dead letters could not be sent", "error", err)
	}
}

// connector finds a connector by name; the first one has no need of it.
func (a *Admin) connector(name string) (Connector, bool) {
	for _, c := range a.cfg.Connectors {
		if name == "" || c.Name == name {
			return c, true
		}
	}
	return Connector{}, false
}
