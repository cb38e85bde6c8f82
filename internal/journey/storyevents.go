package journey

import (
	"cmp"

	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// Telling is an event of a story: what happened, to whom, and by which message.
type Telling struct {
	Type  int16           // index of the glossary's event types
	Draw  population.Draw // where the choices of this event come from
	Root  population.Draw // and those that stay with the message, the entry or the run; 0: Draw
	Note  string          // tells apart the nodes of its type
	First bool            // the first of its kind for the person and the message
	Time  int64           // seconds since the epoch
	User  population.User

	Channel   population.Channel // of a type that has none of its own
	Campaign  *population.Campaign
	Canvas    *population.Canvas
	Variation *population.Named // of the Canvas
	Step      *population.Step
	Place     int // of the step in the Canvas
	Wording   *population.Named

	Dispatch population.Draw // stays with all whom one dispatch reached
	Entry    population.Draw // stays with an entry into a Canvas
	Session  population.Draw
	Sent     int64 // when the message was sent or shown, 0: there is none
	Began    int64 // of the session
	Exit     Exit
}

// Exit is why a Canvas was left.
type Exit uint8

const (
	Completed Exit = iota
	Matched        // the exit audience
	Performed      // the exit event
)

// Teller writes the events of stories. It is not for concurrent use.
type Teller struct {
	pop    *population.Population
	types  []eventType
	rough  *scenario.Rough
	moment moment
}

// NewTeller makes a Teller of a glossary's event types.
func NewTeller(g *schemas.Glossary, pop *population.Population, rough *scenario.Rough) *Teller {
	t := &Teller{pop: pop, rough: rough}
	values, fits := storyValues(rough), storyFitting()
	for i := range g.Events {
		t.types = append(t.types, compile(&g.Events[i], values, fits))
	}
	return t
}

// Unique says whether the events of a type say that they are the first of their
// kind.
func (t *Teller) Unique(typ int16) bool { return t.types[typ].unique }

// keyTurn is apart from the keys of a moment.
const keyTurn = 103

// Append appends an event and says what type it is. It depends on nothing but
// what is told, so that an event that comes again is the same.
func (t *Teller) Append(dst []byte, told *Telling) (event []byte, eventType string) {
	typ, m := &t.types[told.Type], &t.moment
	*m = moment{
		typ: typ, pop: t.pop, draw: told.Draw, root: cmp.Or(told.Root, told.Draw), user: told.User,
		tale: told, note: told.Note, first: told.First, time: told.Time,
		turn: told.Draw.With(keyTurn).N(fullEvery), scratch: m.scratch,
		about: message{
			channel: cmp.Or(typ.channel, told.Channel), campaign: told.Campaign, canvas: told.Canvas,
			variation: told.Variation, step: told.Step, wording: told.Wording,
		},
	}
	if t.rough.Drift > 0 {
		m.news = driftOf(typ, t.rough.Drift, told.Draw)
	}
	// A type that no journey has happens by itself, and may need a message all the same.
	if typ.needsCampaign && told.Campaign == nil || typ.needsCanvas && told.Canvas == nil {
		m.pickMessage()
	}
	return m.append(dst), cmp.Or(m.news.typ, typ.name)
}
