package admin

import (
	"context"
	"encoding/json"
	"fmt"
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

// Moved is what /api/dead/replay and /api/dead/purge answer.
type Moved struct {
	Connector string `json:"connector"`
	Moved     int    `json:"moved"` // how many dead letters
	// Unfit counts those that no replay can help, because nobody or no event
	// type is in them. They stay where they are.
	Unfit int `json:"unfit,omitempty"`
}

// mover is one way to move dead letters.
type mover struct {
	verb string
	move func(Queue) func(context.Context, ...uint64) (int, error)
	fits func(event []byte) bool
}

func (m mover) sift(letters []queue.DeadLetter) (numbers []uint64, unfit int) {
	for _, letter := range letters {
		if m.fits(letter.Event) {
			numbers = append(numbers, letter.Number)
		}
	}
	return numbers, len(letters) - len(numbers)
}

func replaying() mover {
	return mover{"replay", func(q Queue) func(context.Context, ...uint64) (int, error) { return q.ReplayDead }, deliverable}
}

func purging() mover {
	return mover{"purge", func(q Queue) func(context.Context, ...uint64) (int, error) { return q.PurgeDead },
		func([]byte) bool { return true }}
}

// chosen reads which connector and which dead letters a request means. Where it
// returns false the request is answered.
func (a *Admin) chosen(c *gin.Context) (Connector, selection, bool) {
	connector, ok := a.connector(c.Query("connector"))
	if !ok {
		fail(c, http.StatusNotFound, "there is no connector of this name")
		return connector, selection{}, false
	}
	s, err := selectionOf(c.Request.URL.Query())
	if err != nil {
		fail(c, http.StatusBadRequest, err.Error())
		return connector, s, false
	}
	return connector, s, true
}

// dead lists the dead letters of a connector, the oldest first.
func (a *Admin) dead(c *gin.Context) {
	connector, s, ok := a.chosen(c)
	if !ok {
		return
	}
	limit, err := strconv.Atoi(c.DefaultQuery("limit", strconv.Itoa(defaultLetters)))
	if err != nil || limit < 1 || limit > maxLetters {
		fail(c, http.StatusBadRequest, "limit must be a number from 1 to "+strconv.Itoa(maxLetters))
		return
	}
	answer := Letters{Connector: connector.Name, Dead: []Letter{}}
	err = choose(c.Request.Context(), connector.Queue, s, func(letters []queue.DeadLetter) (bool, error) {
		for _, letter := range letters {
			if len(answer.Dead) == limit {
				answer.Next = answer.Dead[limit-1].Number
				return false, nil
			}
			answer.Dead = append(answer.Dead, letterOf(letter))
		}
		return true, nil
	})
	if err != nil {
		a.unreadable(c, connector, err)
		return
	}
	c.Header("Content-Type", "application/json; charset=utf-8")
	encoder := json.NewEncoder(c.Writer)
	encoder.SetEscapeHTML(false) // the event is shown as it came
	if err := encoder.Encode(answer); err != nil {
		a.cfg.Log.Debug("the dead letters could not be sent", "error", err)
	}
}

// move handles a request that moves the chosen dead letters. What was moved
// when it fails half-way is moved; asking again does the rest.
func (a *Admin) move(m mover) gin.HandlerFunc {
	origins := http.NewCrossOriginProtection()
	return func(c *gin.Context) {
		if err := origins.Check(c.Request); err != nil {
			fail(c, http.StatusForbidden, "a page from elsewhere may not do this")
			return
		}
		connector, s, ok := a.chosen(c)
		if !ok {
			return
		}
		if !s.narrow() && !s.all {
			fail(c, http.StatusBadRequest, "say which: number, reason, type, since or until; or all=true")
			return
		}
		// What is replayed may die again at once, and would be met again.
		if now := a.cfg.Now(); s.till.IsZero() || s.till.After(now) {
			s.till = now
		}
		answer := Moved{Connector: connector.Name}
		err := choose(c.Request.Context(), connector.Queue, s, func(letters []queue.DeadLetter) (bool, error) {
			numbers, unfit := m.sift(letters)
			n, err := m.move(connector.Queue)(c.Request.Context(), numbers...)
			answer.Moved += n
			answer.Unfit += unfit
			return true, err
		})
		if answer.Moved > 0 {
			a.cfg.Log.Info("dead letters were moved", "connector", connector.Name, "how", m.verb, "letters", answer.Moved)
		}
		if err != nil {
			a.unreadable(c, connector, fmt.Errorf("%s, after %d: %w", m.verb, answer.Moved, err))
			return
		}
		c.JSON(http.StatusOK, answer)
	}
}

func (a *Admin) unreadable(c *gin.Context, connector Connector, err error) {
	a.cfg.Log.Error("the dead letters could not be read or moved", "connector", connector.Name, "error", err)
	fail(c, http.StatusInternalServerError, "the dead letters could not be read or moved: "+err.Error())
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
