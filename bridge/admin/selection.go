package admin

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// page is how many dead letters are read from the store at once.
const page = 1000

// selection chooses dead letters; what is not said chooses all.
type selection struct {
	after       uint64          // numbers above it
	last        uint64          // numbers up to it; 0: all
	numbers     map[uint64]bool // only these
	reason      string
	typ         string    // pattern of the event type, as in path.Match
	since, till time.Time // when the event died; till is not included
	all         bool      // nothing else is said, and that is meant
}

// selectionOf reads a selection from a query; an error says which part is wrong.
func selectionOf(q url.Values, now time.Time) (selection, error) {
	s := selection{reason: q.Get("reason"), typ: q.Get("type"), all: q.Get("all") == "true"}
	var err error
	if text := q.Get("after"); text != "" {
		if s.after, err = strconv.ParseUint(text, 10, 64); err != nil {
			return s, errors.New("after must be the number of a dead letter")
		}
	}
	for _, text := range q["number"] {
		number, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return s, errors.New("number must be the number of a dead letter")
		}
		if s.numbers == nil {
			s.numbers = map[uint64]bool{}
		}
		s.numbers[number] = true
	}
	if _, err := path.Match(s.typ, ""); err != nil {
		return s, errors.New("type must be an event type or a pattern such as users.messages.email.*")
	}
	for name, at := range map[string]*time.Time{"since": &s.since, "until": &s.till} {
		if text := q.Get(name); text != "" {
			if *at, err = momentOf(text, now); err != nil {
				return s, fmt.Errorf("%s %w", name, err)
			}
		}
	}
	return s, nil
}

// narrow tells whether anything was said to choose by.
func (s selection) narrow() bool {
	return s.numbers != nil || s.reason != "" || s.typ != "" || !s.since.IsZero() || !s.till.IsZero()
}

func (s selection) has(d queue.DeadLetter) bool {
	switch {
	case s.last > 0 && d.Number > s.last,
		s.numbers != nil && !s.numbers[d.Number],
		s.reason != "" && s.reason != d.Reason,
		!s.since.IsZero() && d.DiedAt.Before(s.since),
		!s.till.IsZero() && !d.DiedAt.Before(s.till):
		return false
	case s.typ == "":
		return true
	}
	ok, err := path.Match(s.typ, typeOf(d.Event))
	return ok && err == nil
}

// typeOf returns the event type as text, or nothing where there is none.
func typeOf(event []byte) string {
	var scan currents.Batch
	if scan.ScanEvent(event) != nil {
		return ""
	}
	text, _ := currents.AppendText(nil, scan.Events[0].Type)
	return string(text)
}

// deliverable tells whether an event has what every message must have. Others
// are dead for their own sake, whatever RudderStack says.
func deliverable(event []byte) bool {
	var scan currents.Batch
	return scan.ScanEvent(event) == nil && scan.Events[0].Problem() == ""
}

// choose gives the chosen letters to take, the oldest first, in pages, until
// take returns false or there are no more.
func choose(ctx context.Context, q Queue, s selection, take func([]queue.DeadLetter) (bool, error)) error {
	for after := s.after; ; {
		letters, err := q.Dead(ctx, after, page)
		if err != nil || len(letters) == 0 {
			return err
		}
		after = letters[len(letters)-1].Number
		chosen := letters[:0]
		for _, letter := range letters {
			if s.has(letter) {
				chosen = append(chosen, letter)
			}
		}
		if goOn, err := take(chosen); err != nil || !goOn {
			return err
		}
		if s.last > 0 && after >= s.last {
			return nil
		}
	}
}

// lastDead returns the number of the newest dead letter; 0: there is none. All
// that die from now on have higher ones. It is found in a few looks, since
// numbers only grow, without reading all letters.
func lastDead(ctx context.Context, q Queue) (uint64, error) {
	low, high := uint64(0), uint64(0) // it is in there, once high is above nothing
	for bounded := false; !bounded || low < high; {
		look := low + (high-low)/2
		if !bounded {
			look = high
		}
		letters, err := q.Dead(ctx, look, 1)
		switch {
		case err != nil:
			return 0, err
		case len(letters) == 0:
			bounded, high = true, look
		case bounded:
			low = letters[0].Number
		default:
			low, high = letters[0].Number, 2*letters[0].Number
		}
	}
	return high, nil
}
