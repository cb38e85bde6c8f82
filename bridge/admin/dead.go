package admin

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// How many dead letters one answer has, and how many bytes of events: it ends
// with the letter that goes beyond.
const (
	defaultLetters = 100
	maxLetters     = 1000
	maxLetterBytes = 16 << 20
)

// Letters is what /api/dead answers.
type Letters struct {
	Dead []Letter `json:"dead"`
	// Next is what to ask for as after to read on; 0: this was the end. Where no
	// connector was named, NextConnector goes with it, as after_connector.
	Next          uint64 `json:"next,omitempty"`
	NextConnector string `json:"next_connector,omitempty"`
}

// Letter is a dead letter with its event as Braze sent it. Where the event is
// nested more deeply than encoding/json goes, it is shown as text, in a string.
// The number is one of its connector's.
type Letter struct {
	Connector string `json:"connector"`
	queue.DeadLetter
	Event json.RawMessage `json:"event"`
}

func letterOf(connector string, d queue.DeadLetter) Letter {
	if json.Valid(d.Event) {
		return Letter{connector, d, d.Event}
	}
	text, err := json.Marshal(string(d.Event))
	if err != nil {
		text = []byte("null")
	}
	return Letter{connector, d, text}
}

// dead lists dead letters, connector by connector, the oldest of each first.
func (a *Admin) dead(c *gin.Context) {
	values, ok := form(c)
	if !ok {
		return
	}
	connectors, ok := a.meant(c, values)
	if !ok {
		return
	}
	s, err := selectionOf(values, a.cfg.Now())
	if err != nil {
		fail(c, http.StatusBadRequest, err.Error())
		return
	}
	limit, err := strconv.Atoi(c.DefaultQuery("limit", strconv.Itoa(defaultLetters)))
	if err != nil || limit < 1 || limit > maxLetters {
		fail(c, http.StatusBadRequest, "limit must be a number from 1 to "+strconv.Itoa(maxLetters))
		return
	}
	patient(c) // what is chosen may be far between
	l := listing{limit: limit, all: values.Get("connector") == "", dead: []Letter{}}
	if from := values.Get("after_connector"); from != "" && l.all {
		begin := slices.IndexFunc(connectors, func(c Connector) bool { return c.Name == from })
		if begin < 0 {
			fail(c, http.StatusNotFound, "there is no connector of the name that after_connector gives")
			return
		}
		connectors = connectors[begin:]
	} else if l.all && s.after > 0 && len(connectors) > 1 {
		fail(c, http.StatusBadRequest, "after needs connector, or after_connector, because each connector counts for itself")
		return
	}
	for _, connector := range connectors {
		if err := l.read(c, connector, s); err != nil {
			a.unreadable(c, connector, err)
			return
		}
		if l.more {
			break
		}
		s.after = 0
	}
	a.show(c, l.answer())
}

// listing is a list of dead letters that has an end.
type listing struct {
	limit, bytes int
	all          bool // of all connectors
	dead         []Letter
	more         bool // there are more than fit
}

func (l *listing) read(c *gin.Context, connector Connector, s selection) error {
	return choose(c.Request.Context(), connector.Queue, s, func(letters []queue.DeadLetter) (bool, error) {
		for _, letter := range letters {
			if len(l.dead) == l.limit || l.bytes > maxLetterBytes {
				l.more = true
				return false, nil
			}
			l.bytes += len(letter.Event)
			l.dead = append(l.dead, letterOf(connector.Name, letter))
		}
		return true, nil
	})
}

func (l *listing) answer() Letters {
	answer := Letters{Dead: l.dead}
	if l.more {
		last := l.dead[len(l.dead)-1]
		answer.Next = last.Number
		if l.all {
			answer.NextConnector = last.Connector
		}
	}
	return answer
}

// letter shows one dead letter.
func (a *Admin) letter(c *gin.Context) {
	number, err := strconv.ParseUint(c.Param("number"), 10, 64)
	if err != nil || number == 0 {
		fail(c, http.StatusBadRequest, "this is not the number of a dead letter")
		return
	}
	values, ok := form(c)
	if !ok {
		return
	}
	connectors, ok := a.meant(c, values)
	if !ok {
		return
	}
	var found []Letter
	var owners []string
	for _, connector := range connectors {
		letters, err := connector.Queue.Dead(c.Request.Context(), number-1, 1)
		if err != nil {
			a.unreadable(c, connector, err)
			return
		}
		if len(letters) == 1 && letters[0].Number == number {
			found, owners = append(found, letterOf(connector.Name, letters[0])), append(owners, connector.Name)
		}
	}
	switch len(found) {
	case 0:
		fail(c, http.StatusNotFound, "there is no dead letter "+strconv.FormatUint(number, 10))
	case 1:
		a.show(c, found[0])
	default:
		fail(c, http.StatusConflict, "several connectors have a letter of this number, name one of them: "+strings.Join(owners, ", "))
	}
}

// show answers with events as they came.
func (a *Admin) show(c *gin.Context, answer any) {
	c.Header("Content-Type", "application/json; charset=utf-8")
	encoder := json.NewEncoder(c.Writer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(answer); err != nil {
		a.cfg.Log.Debug("the dead letters could not be sent", "error", err)
	}
}

func (a *Admin) unreadable(c *gin.Context, connector Connector, err error) {
	a.cfg.Log.Error("the dead letters could not be read or moved", "connector", connector.Name, "error", err)
	fail(c, http.StatusInternalServerError, "the dead letters could not be read or moved: "+err.Error())
}
