package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

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
	Event json.RawMessage `json:"event,omitempty"` // absent where brief=true asks for no more than what people are not in
	// Unfit tells that no replay can help, because no person or no event type is in it.
	Unfit bool `json:"unfit,omitempty"`
}

func letterOf(connector string, d queue.DeadLetter) Letter {
	return Letter{connector, d, textOf(d.Event), !fit(d)}
}

// textOf is an event as JSON, whatever it is.
func textOf(event []byte) json.RawMessage {
	if json.Valid(event) {
		return event
	}
	text, err := json.Marshal(string(event))
	if err != nil {
		return []byte("null")
	}
	return text
}

// dead lists dead letters, connector by connector, the oldest of each first.
func (a *Admin) dead(r request) (any, error) {
	s, _, err := selectionOf(r.values, a.cfg.Now())
	if err != nil {
		return nil, err
	}
	limit, err := r.limit()
	if err != nil {
		return nil, err
	}
	patient(r.Context) // what is chosen may be far between
	l := listing{limit: limit, all: r.values.Get("connector") == "", brief: r.values.Get("brief") == "true", dead: []Letter{}}
	connectors := r.connectors
	if from := r.values.Get("after_connector"); from != "" && l.all {
		begin := slices.IndexFunc(connectors, func(c Connector) bool { return c.Name == from })
		if begin < 0 {
			return nil, refuse(http.StatusNotFound, "there is no connector of the name that after_connector gives")
		}
		connectors = connectors[begin:]
	} else if l.all && s.After > 0 && len(connectors) > 1 {
		return nil, bad("after needs connector, or after_connector, because each connector counts for itself")
	}
	for _, connector := range connectors {
		if err := l.read(r.ctx, connector, s); err != nil {
			return nil, connector.failed(err)
		}
		if l.more {
			break
		}
		s.After = 0
	}
	return l.answer(), nil
}

// listing is a list of dead letters that has an end.
type listing struct {
	limit, bytes int
	all          bool // of all connectors
	brief        bool // without events and people
	dead         []Letter
	more         bool // there are more than fit
}

func (l *listing) read(ctx context.Context, connector Connector, s queue.LetterFilter) error {
	return choose(ctx, connector.Queue, s, func(letters []queue.DeadLetter) (bool, error) {
		for _, letter := range letters {
			if len(l.dead) == l.limit || l.bytes > maxLetterBytes {
				l.more = true
				return false, nil
			}
			shown := letterOf(connector.Name, letter)
			if l.brief {
				shown.Event, shown.UserID, shown.ExternalUserID = nil, "", ""
			}
			l.bytes += len(shown.Event)
			l.dead = append(l.dead, shown)
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
func (a *Admin) letter(r request) (any, error) {
	number, err := strconv.ParseUint(r.Param("number"), 10, 64)
	if err != nil || number == 0 {
		return nil, bad("this is not the number of a dead letter")
	}
	var found []Letter
	var owners []string
	for _, connector := range r.connectors {
		letters, err := connector.Queue.Letters(r.ctx, queue.LetterFilter{Numbers: []uint64{number}})
		if err != nil {
			return nil, connector.failed(err)
		}
		if len(letters) == 1 {
			found, owners = append(found, letterOf(connector.Name, letters[0])), append(owners, connector.Name)
		}
	}
	switch len(found) {
	case 0:
		return nil, refuse(http.StatusNotFound, "there is no dead letter "+strconv.FormatUint(number, 10))
	case 1:
		return found[0], nil
	}
	return nil, refuse(http.StatusConflict, "several connectors have a letter of this number, name one of them: "+strings.Join(owners, ", "))
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
func (a *Admin) summary(r request) (any, error) {
	filter, _, err := selectionOf(r.values, a.cfg.Now())
	if err != nil {
		return nil, err
	}
	answer := Summaries{Groups: []Group{}}
	for _, connector := range r.connectors {
		groups, err := connector.Queue.Summary(r.ctx, filter)
		if err != nil {
			return nil, connector.failed(err)
		}
		for _, g := range groups {
			answer.Groups = append(answer.Groups, Group{connector.Name, g})
		}
	}
	return answer, nil
}

// selectionOf reads which dead letters a request means; the error is a refusal.
// narrow tells whether anything was said to choose by.
func selectionOf(v url.Values, now time.Time) (f queue.LetterFilter, narrow bool, err error) {
	f = queue.LetterFilter{Reason: v.Get("reason"), User: v.Get("user"), Type: v.Get("type")}
	for name, number := range map[string]*uint64{"after": &f.After, "last": &f.Last} {
		if text := v.Get(name); text != "" {
			if *number, err = strconv.ParseUint(text, 10, 64); err != nil {
				return f, false, bad(name + " must be the number of a dead letter")
			}
		}
	}
	for _, text := range v["number"] {
		number, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return f, false, bad("number must be the number of a dead letter")
		}
		f.Numbers = append(f.Numbers, number)
	}
	if _, err := path.Match(f.Type, ""); err != nil {
		return f, false, bad("type must be an event type or a pattern such as users.messages.email.*")
	}
	for name, at := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		if text := v.Get(name); text != "" {
			if *at, err = momentOf(name, text, now); err != nil {
				return f, false, err
			}
		}
	}
	narrow = f.Numbers != nil || f.Reason != "" || f.User != "" || f.Type != "" || !f.Since.IsZero() || !f.Until.IsZero()
	return f, narrow, nil
}

// fit tells whether a replay of a dead letter can help: whether its event has what
// every message must have.
func fit(l queue.DeadLetter) bool {
	var scan currents.Batch
	return l.Events == 1 && scan.ScanEvent(l.Event) == nil && scan.Events[0].Problem() == ""
}

// choose passes the chosen letters to take, the oldest first, in pages, until take
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
// of the request, and the sums of them.
type Moved struct {
	Moved int `json:"moved"` // how many dead letters
	// Unfit counts those that no replay can help, because no user or no event
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
	move func(Queue, context.Context, ...uint64) (int, error)
	fits func(queue.DeadLetter) bool
}

// move returns a handler that moves the chosen dead letters. What was moved when
// it fails half-way is moved; asking again does the rest.
func (a *Admin) move(m mover) func(request) (any, error) {
	return func(r request) (any, error) {
		s, narrow, err := selectionOf(r.values, a.cfg.Now())
		switch {
		case err != nil:
			return nil, err
		case !narrow && r.values.Get("all") != "true":
			return nil, bad("say which: number, reason, type, since or until; or all=true")
		case (s.Numbers != nil || s.After > 0 || s.Last > 0) && len(r.connectors) > 1:
			return nil, bad("say which connector: each counts its letters for itself")
		}
		patient(r.Context)
		answer := Moved{Connectors: []ConnectorMoved{}}
		for _, connector := range r.connectors {
			moved, err := a.moveOf(r.ctx, connector, s, m)
			if err != nil {
				return nil, connector.failed(fmt.Errorf("%s, after %d: %w", m.verb, answer.Moved+moved.Moved, err))
			}
			answer.Moved += moved.Moved
			answer.Unfit += moved.Unfit
			answer.Connectors = append(answer.Connectors, moved)
		}
		return answer, nil
	}
}

func (a *Admin) moveOf(ctx context.Context, connector Connector, s queue.LetterFilter, m mover) (ConnectorMoved, error) {
	moved := ConnectorMoved{Connector: connector.Name}
	// What is replayed may be dead-lettered again at once, under a higher number, and
	// must not be replayed in this request again.
	last, err := lastDead(ctx, connector.Queue)
	if err != nil || last == 0 {
		return moved, err
	}
	if s.Last == 0 || s.Last > last {
		s.Last = last
	}
	err = choose(ctx, connector.Queue, s, func(letters []queue.DeadLetter) (bool, error) {
		var numbers []uint64
		for _, letter := range letters {
			if m.fits(letter) {
				numbers = append(numbers, letter.Number)
			}
		}
		n, err := m.move(connector.Queue, ctx, numbers...)
		moved.Moved += n
		moved.Unfit += len(letters) - len(numbers)
		return true, err
	})
	if moved.Moved > 0 {
		a.cfg.Log.Info("dead letters were moved", "connector", connector.Name, "how", m.verb, "letters", moved.Moved)
	}
	return moved, err
}
