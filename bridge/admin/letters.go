package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"

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
// The number is unique within a store.
type Letter struct {
	Connector string `json:"connector"`
	queue.DeadLetter
	Event json.RawMessage `json:"event,omitempty"` // absent where brief=true asks for no more than what people are not in
	// Unfit tells that no replay can help: no person or no event type is in it, or it is
	// not what was written.
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
	text, _ := json.Marshal(string(event)) // fails for no string
	return text
}

func deadLetters(r *request) (any, error) {
	f, _ := r.filter()
	limit, bytes := r.limit(), 0
	all, brief := r.values.Get("connector") == "", r.values.Get("brief") == "true"
	connectors := r.connectors
	if from := r.values.Get("after_connector"); from != "" && all {
		begin := slices.IndexFunc(connectors, func(c Connector) bool { return c.Name == from })
		if begin < 0 {
			return nil, refusal{http.StatusNotFound, "there is no connector of the name that after_connector gives"}
		}
		connectors = connectors[begin:]
	} else {
		r.refuse(all && f.After > 0 && len(connectors) > 1, "after needs connector, or after_connector: what comes after is of one connector")
	}
	if r.err != nil {
		return nil, r.err
	}
	patient(r.Context) // what is chosen may be far between
	answer := Letters{Dead: []Letter{}}
	for _, connector := range connectors {
		for letters, err := range pages(r.ctx, connector.Queue, f) {
			if err != nil {
				return nil, fmt.Errorf("connector %s: %w", connector.Name, err)
			}
			for _, letter := range letters {
				if len(answer.Dead) == limit || bytes > maxLetterBytes {
					last := answer.Dead[len(answer.Dead)-1]
					answer.Next = last.Number
					if all {
						answer.NextConnector = last.Connector
					}
					return answer, nil
				}
				shown := letterOf(connector.Name, letter)
				if brief {
					shown.Event, shown.UserID, shown.ExternalUserID = nil, "", ""
				}
				bytes += len(shown.Event)
				answer.Dead = append(answer.Dead, shown)
			}
		}
		f.After = 0
	}
	return answer, nil
}

func oneLetter(r *request) (any, error) {
	number, err := strconv.ParseUint(r.Param("number"), 10, 64)
	if err != nil || number == 0 {
		return nil, bad("this is not the number of a dead letter")
	}
	var found []Letter
	var owners []string
	_, err = each(r.connectors, func(c Connector) (any, error) {
		letters, err := c.Queue.Letters(r.ctx, queue.LetterFilter{Numbers: []uint64{number}})
		for _, letter := range letters {
			found, owners = append(found, letterOf(c.Name, letter)), append(owners, c.Name)
		}
		return nil, err
	})
	if err != nil {
		return nil, err
	}
	switch len(found) {
	case 0:
		return nil, refusal{http.StatusNotFound, "there is no dead letter " + strconv.FormatUint(number, 10)}
	case 1:
		return found[0], nil
	}
	return nil, refusal{http.StatusConflict, "several connectors have a letter of this number, name one of them: " + strings.Join(owners, ", ")}
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

func deadSummary(r *request) (any, error) {
	f, _ := r.filter()
	if r.err != nil {
		return nil, r.err
	}
	answer := Summaries{Groups: []Group{}}
	_, err := each(r.connectors, func(c Connector) ([]queue.LetterGroup, error) {
		groups, err := c.Queue.Summary(r.ctx, f)
		for _, g := range groups {
			answer.Groups = append(answer.Groups, Group{c.Name, g})
		}
		return groups, err
	})
	return answer, err
}

// filter reads which dead letters a request means. narrow tells whether anything was
// said to choose by.
func (r *request) filter() (f queue.LetterFilter, narrow bool) {
	v := r.values
	f = queue.LetterFilter{
		Reason: v.Get("reason"), User: v.Get("user"), Type: r.pattern(v.Get("type")), Since: r.moment("since"), Until: r.moment("until"),
	}
	for _, text := range v["number"] {
		r.refuse(text == "", "number must be the number of a dead letter")
		f.Numbers = append(f.Numbers, r.number("number", text))
	}
	narrow = f.Numbers != nil || f.Reason != "" || f.User != "" || f.Type != "" || !f.Since.IsZero() || !f.Until.IsZero()
	f.After, f.Last = r.number("after", v.Get("after")), r.number("last", v.Get("last"))
	return f, narrow
}

// fit tells whether a replay of a dead letter can help: whether its event is what was
// written, and has what every message must have.
func fit(l queue.DeadLetter) bool {
	var scan currents.Batch
	return l.Events == 1 && !l.Altered && scan.ScanEvent(l.Event) == nil && scan.Events[0].Problem() == ""
}

func pages(ctx context.Context, q Queue, f queue.LetterFilter) iter.Seq2[[]queue.DeadLetter, error] {
	return func(yield func([]queue.DeadLetter, error) bool) {
		for {
			letters, err := q.Letters(ctx, f)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(letters) == 0 || !yield(letters, nil) {
				return
			}
			f.After = letters[len(letters)-1].Number
		}
	}
}

// Moved is what /api/dead/replay and /api/dead/purge answer: the sums, and of each
// connector of the request.
type Moved struct {
	Connector string `json:"connector,omitempty"` // of a part
	Moved     int    `json:"moved"`               // how many dead letters
	// Unfit counts those that no replay can help, because no user or no event
	// type is in them, or they are not what was written. They stay where they are.
	Unfit int `json:"unfit,omitempty"`
	// Unreadable counts those that the disk does not give back. They stay where they
	// are until the next start, which keeps what can be read of them.
	Unreadable int     `json:"unreadable,omitempty"`
	Connectors []Moved `json:"connectors,omitempty"`
}

type mover struct {
	verb string
	move func(Queue, context.Context, ...uint64) (int, error)
	fits func(queue.DeadLetter) bool
}

// answer moves the chosen dead letters. What was moved when it fails half-way is
// moved; asking again does the rest.
func (m mover) answer(r *request) (any, error) {
	f, narrow := r.filter()
	r.refuse(!narrow && r.values.Get("all") != "true", "say which: number, reason, type, since or until; or all=true")
	r.refuse((f.Numbers != nil || f.After > 0 || f.Last > 0) && len(r.connectors) > 1, "say which connector: number, after and last are of one")
	if r.err != nil {
		return nil, r.err
	}
	patient(r.Context)
	var answer Moved
	var err error
	answer.Connectors, err = each(r.connectors, func(c Connector) (Moved, error) {
		moved, err := m.all(r, c, f)
		answer.Moved += moved.Moved
		answer.Unfit += moved.Unfit
		answer.Unreadable += moved.Unreadable
		if err != nil {
			err = fmt.Errorf("%s, after %d: %w", m.verb, answer.Moved, err)
		}
		return moved, err
	})
	return answer, err
}

// all moves the chosen ones of a connector.
func (m mover) all(r *request, c Connector, f queue.LetterFilter) (Moved, error) {
	moved := Moved{Connector: c.Name}
	// What is replayed may be dead-lettered again at once, under a higher number, and
	// must not be replayed in this request again.
	groups, err := c.Queue.Summary(r.ctx, queue.LetterFilter{})
	if err != nil || len(groups) == 0 {
		return moved, err
	}
	last := slices.MaxFunc(groups, func(a, b queue.LetterGroup) int { return cmp.Compare(a.Last, b.Last) }).Last
	f.Last = min(cmp.Or(f.Last, last), last)
	defer func() {
		if moved.Moved > 0 {
			r.admin.cfg.Log.Info("dead letters were moved", "connector", c.Name, "how", m.verb, "letters", moved.Moved)
		}
	}()
	for letters, err := range pages(r.ctx, c.Queue, f) {
		if err != nil {
			return moved, err
		}
		var numbers []uint64
		for _, letter := range letters {
			switch {
			case letter.Unreadable:
				moved.Unreadable++
			case m.fits(letter):
				numbers = append(numbers, letter.Number)
			default:
				moved.Unfit++
			}
		}
		n, err := m.move(c.Queue, r.ctx, numbers...)
		moved.Moved += n
		if err != nil {
			return moved, err
		}
	}
	return moved, nil
}
