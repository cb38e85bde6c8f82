package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
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
	s, _, err := selectionOf(values, a.cfg.Now())
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
	} else if l.all && s.After > 0 && len(connectors) > 1 {
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
		s.After = 0
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

func (l *listing) read(c *gin.Context, connector Connector, s queue.LetterFilter) error {
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
		letters, err := connector.Queue.Letters(c.Request.Context(), queue.LetterFilter{Numbers: []uint64{number}})
		if err != nil {
			a.unreadable(c, connector, err)
			return
		}
		if len(letters) == 1 {
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

// Summaries is what /api/dead/summary answers.
type Summaries struct {
	Groups []Group `json:"groups"`
}

// Group counts dead letters of one connector, reason and event type.
type Group struct {
	Connector string `json:"connector"`
	queue.LetterGroup
}

// summary counts the dead letters that a request means by reason and event type.
func (a *Admin) summary(c *gin.Context) {
	values, ok := form(c)
	if !ok {
		return
	}
	connectors, ok := a.meant(c, values)
	if !ok {
		return
	}
	filter, _, err := selectionOf(values, a.cfg.Now())
	if err != nil {
		fail(c, http.StatusBadRequest, err.Error())
		return
	}
	answer := Summaries{Groups: []Group{}}
	for _, connector := range connectors {
		groups, err := connector.Queue.Summary(c.Request.Context(), filter)
		if err != nil {
			a.unreadable(c, connector, err)
			return
		}
		for _, g := range groups {
			answer.Groups = append(answer.Groups, Group{connector.Name, g})
		}
	}
	c.JSON(http.StatusOK, answer)
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

// selectionOf reads which dead letters a request means; an error says which part
// is wrong. narrow tells whether anything was said to choose by.
func selectionOf(v url.Values, now time.Time) (f queue.LetterFilter, narrow bool, err error) {
	f = queue.LetterFilter{Reason: v.Get("reason"), User: v.Get("user")}
	if text := v.Get("after"); text != "" {
		if f.After, err = strconv.ParseUint(text, 10, 64); err != nil {
			return f, false, errors.New("after must be the number of a dead letter")
		}
	}
	for _, text := range v["number"] {
		number, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return f, false, errors.New("number must be the number of a dead letter")
		}
		f.Numbers = append(f.Numbers, number)
	}
	if pattern := v.Get("type"); pattern != "" {
		if _, err := path.Match(pattern, ""); err != nil {
			return f, false, errors.New("type must be an event type or a pattern such as users.messages.email.*")
		}
		f.Types = []string{pattern}
	}
	for name, at := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		if text := v.Get(name); text != "" {
			if *at, err = momentOf(text, now); err != nil {
				return f, false, fmt.Errorf("%s %w", name, err)
			}
		}
	}
	narrow = f.Numbers != nil || f.Reason != "" || f.User != "" || f.Types != nil || !f.Since.IsZero() || !f.Until.IsZero()
	return f, narrow, nil
}

// deliverable tells whether an event has what every message must have. Others
// are dead for their own sake, whatever RudderStack says.
func deliverable(event []byte) bool {
	var scan currents.Batch
	return scan.ScanEvent(event) == nil && scan.Events[0].Problem() == ""
}

// choose gives the chosen letters to take, the oldest first, in pages, until take
// returns false or there are no more.
func choose(ctx context.Context, q Queue, f queue.LetterFilter, take func([]queue.DeadLetter) (bool, error)) error {
	for {
		letters, err := q.Letters(ctx, f)
		if err != nil || len(letters) == 0 {
			return err
		}
		f.After = letters[len(letters)-1].Number
		if more, err := take(letters); err != nil || !more {
			return err
		}
	}
}

// lastDead returns the number of the newest dead letter; 0: there is none. All
// that die from now on have higher ones.
func lastDead(ctx context.Context, q Queue) (last uint64, err error) {
	groups, err := q.Summary(ctx, queue.LetterFilter{})
	for _, g := range groups {
		last = max(last, g.Last)
	}
	return last, err
}

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
	fits func(queue.DeadLetter) bool
}

func (m mover) choose(letters []queue.DeadLetter) (numbers []uint64, unfit int) {
	for _, letter := range letters {
		if m.fits(letter) {
			numbers = append(numbers, letter.Number)
		}
	}
	return numbers, len(letters) - len(numbers)
}

func replaying() mover {
	return mover{"replay", func(q Queue) func(context.Context, ...uint64) (int, error) { return q.ReplayDead },
		func(l queue.DeadLetter) bool { return l.Events == 1 && deliverable(l.Event) }}
}

func purging() mover {
	return mover{"purge", func(q Queue) func(context.Context, ...uint64) (int, error) { return q.PurgeDead },
		func(queue.DeadLetter) bool { return true }}
}

// toMove reads which dead letters a request means, and of which connectors.
// Where it returns false the request is answered.
func (a *Admin) toMove(c *gin.Context) ([]Connector, queue.LetterFilter, bool) {
	values, ok := form(c)
	if !ok {
		return nil, queue.LetterFilter{}, false
	}
	connectors, ok := a.meant(c, values)
	if !ok {
		return nil, queue.LetterFilter{}, false
	}
	s, narrow, err := selectionOf(values, a.cfg.Now())
	switch {
	case err != nil:
		fail(c, http.StatusBadRequest, err.Error())
	case !narrow && values.Get("all") != "true":
		fail(c, http.StatusBadRequest, "say which: number, reason, type, since or until; or all=true")
	case (s.Numbers != nil || s.After > 0) && len(connectors) > 1:
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

func (a *Admin) moveOf(ctx context.Context, connector Connector, s queue.LetterFilter, m mover) (ConnectorMoved, error) {
	moved := ConnectorMoved{Connector: connector.Name}
	// What is replayed may die again at once, and would be met again. Its number
	// tells it from those that are there now, whatever the clock says.
	last, err := lastDead(ctx, connector.Queue)
	if err != nil || last == 0 {
		return moved, err
	}
	s.Last = last
	err = choose(ctx, connector.Queue, s, func(letters []queue.DeadLetter) (bool, error) {
		numbers, unfit := m.choose(letters)
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
