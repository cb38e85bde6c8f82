package admin

import (
	"context"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// Moved is what /api/dead/replay and /api/dead/purge answer: for each connector
// that was meant, and the sums of them.
type Moved struct {
	Moved int `json:"moved"` // how many dead letters
	// Unfit counts those that no replay can help, because nobody or no event
	// type is in them. They stay where they are.
	Unfit      int              `json:"unfit,omitempty"`
	Connectors []ConnectorMoved `json:"connectors"`
}

// ConnectorMoved is a connector's part of Moved.
type ConnectorMoved struct {
	Connector string `json:"connector"`
	Moved     int    `json:"moved"`
	Unfit     int    `json:"unfit,omitempty"`
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

// toMove reads which dead letters a request means, and of which connectors.
// Where it returns false the request is answered.
func (a *Admin) toMove(c *gin.Context) ([]Connector, selection, bool) {
	values, ok := form(c)
	if !ok {
		return nil, selection{}, false
	}
	connectors, ok := a.meant(c, values)
	if !ok {
		return nil, selection{}, false
	}
	s, err := selectionOf(values, a.cfg.Now())
	switch {
	case err != nil:
		fail(c, http.StatusBadRequest, err.Error())
	case !s.narrow() && !s.all:
		fail(c, http.StatusBadRequest, "say which: number, reason, type, since or until; or all=true")
	case (s.numbers != nil || s.after > 0) && len(connectors) > 1:
		fail(c, http.StatusBadRequest, "say which connector: each counts its letters for itself")
	default:
		return connectors, s, true
	}
	return nil, s, false
}

// move handles a request that moves the chosen dead letters. What was moved
// when it fails half-way is moved; asking again does the rest.
func (a *Admin) move(m mover) gin.HandlerFunc {
	return func(c *gin.Context) {
		connectors, s, ok := a.toMove(c)
		if !ok {
			return
		}
		patient(c)
		answer := Moved{Connectors: []ConnectorMoved{}}
		for _, connector := range connectors {
			moved, err := a.moveOf(c.Request.Context(), connector, s, m)
			if err != nil {
				a.unreadable(c, connector, fmt.Errorf("%s, after %d: %w", m.verb, answer.Moved+moved.Moved, err))
				return
			}
			answer.Moved += moved.Moved
			answer.Unfit += moved.Unfit
			answer.Connectors = append(answer.Connectors, moved)
		}
		c.JSON(http.StatusOK, answer)
	}
}

func (a *Admin) moveOf(ctx context.Context, connector Connector, s selection, m mover) (ConnectorMoved, error) {
	moved := ConnectorMoved{Connector: connector.Name}
	// What is replayed may die again at once, and would be met again. Its number
	// tells it from those that are there now, whatever the clock says.
	last, err := lastDead(ctx, connector.Queue)
	if err != nil || last == 0 {
		return moved, err
	}
	s.last = last
	err = choose(ctx, connector.Queue, s, func(letters []queue.DeadLetter) (bool, error) {
		numbers, unfit := m.sift(letters)
		n, err := m.move(connector.Queue)(ctx, numbers...)
		moved.Moved += n
		moved.Unfit += unfit
		return true, err
	})
	if moved.Moved > 0 {
		a.cfg.Log.Info("dead letters were moved", "connector", connector.Name, "how", m.verb, "letters", moved.Moved)
	}
	return moved, err
}
