package journey

import (
	"cmp"

	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// StoryEvent is an event of a story: what happened, to whom, and by which message.
type StoryEvent struct {
	Type  int16           // index of the glossary's event types
	Draw  population.Draw // of this event
	Root  population.Draw // of what stays with the message, the entry or the run; 0 is Draw
	Note  string          // the note of its node in the plot
	First bool            // the first of its kind for the person and the message
	Time  int64           // seconds since the epoch
	User  population.User

	Channel   population.Channel // of a type that has none of its own
	Campaign  *population.Message
	Canvas    *population.Canvas
	Variation *population.Named // of the Canvas
	Step      *population.Message
	Place     int // of the step in the Canvas
	Wording   *population.Named

	Dispatch population.Draw // equal for all recipients of a dispatch
	Entry    population.Draw // equal for an entry into a Canvas
	Session  population.Draw
	Sent     int64 // when the message was sent or shown, 0 without one
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

// StoryWriter writes the events of stories. It is not for concurrent use.
type StoryWriter struct {
	pop    *population.Population
	types  []eventType
	rough  *scenario.Rough
	moment moment
}

// NewStoryWriter makes a StoryWriter of a glossary's event types.
func NewStoryWriter(g *schemas.Glossary, pop *population.Population, rough *scenario.Rough) *StoryWriter {
	w := &StoryWriter{pop: pop, rough: rough}
	values, fits := storyValues(rough), storyFitting()
	for i := range g.Events {
		w.types = append(w.types, compile(&g.Events[i], values, fits))
	}
	return w
}

// Unique says whether events of a type say that they are the first of their kind.
func (w *StoryWriter) Unique(typ int16) bool { return w.types[typ].unique }

// keyTurn is apart from the keys of a moment.
const keyTurn = 103

// Append appends an event and returns its type. Equal StoryEvents give equal bytes.
func (w *StoryWriter) Append(dst []byte, e *StoryEvent) (event []byte, eventType string) {
	typ, m := &w.types[e.Type], &w.moment
	*m = moment{
		StoryEvent: *e, typ: typ, pop: w.pop, inStory: true,
		turn: e.Draw.With(keyTurn).N(fullEvery), scratch: m.scratch,
	}
	m.Root, m.channel = cmp.Or(e.Root, e.Draw), cmp.Or(typ.channel, e.Channel)
	if w.rough.Drift > 0 {
		m.news = driftOf(typ, w.rough.Drift, e.Draw)
	}
	// A type of a newer glossary happens without a cause, and may need a message.
	if typ.needsCampaign && e.Campaign == nil || typ.needsCanvas && e.Canvas == nil {
		m.pickMessage()
	}
	return m.append(dst), cmp.Or(m.news.typ, typ.name)
}
