// Package journey writes the events that the fake Braze sends: what happens to
// the people of package population, as Braze writes it.
//
// Rounds goes round the event types of the glossary evenly. Each event stands for
// itself and depends on the seed, the stream, its type and its number among the
// events of its type only. So events can be made in any order and by any number of
// goroutines, and a selection of types gives the same events as the whole.
//
// A StoryWriter writes the events of package story, where one follows from another.
//
// Nothing is decided by floating point, the order of a map, the clock of the machine
// or its tables of time zones.
package journey

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// fullEvery is how many events of one type in a row show every field.
const fullEvery = 10

// Reference is the instant at which the fake Braze's history begins. It is fixed, so
// that one seed gives the same bytes at any time.
func Reference() time.Time { return time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC) }

// Config is what Rounds is made from. Glossary is needed; the rest may stay
// zero.
type Config struct {
	Glossary   *schemas.Glossary
	Population *population.Population // nil makes the one of Seed
	Seed       uint64
	Stream     uint64         // in each, events have other ids and happen to others of the same people
	Types      []string       // to go round, as path.Match patterns; none means all current ones
	Retired    bool           // makes the types that Braze has retired, too
	Drift      scenario.Share // of events with a field or a type that is new
}

// Rounds goes round event types evenly: event i has type i modulo the number
// of types, in the glossary's order, and each round takes one second. Any ten
// events of a type in a row show every field of the type, with a value, at
// least once. It has no state: goroutines may share it.
type Rounds struct {
	names     []string
	types     []eventType
	pop       *population.Population
	draw      population.Draw
	reference int64
	drift     scenario.Share
	moments   sync.Pool
}

// New makes Rounds. It fails for a pattern that fits no event type.
func New(cfg Config) (*Rounds, error) {
	names, err := Select(cfg.Glossary, cfg.Types, cfg.Retired)
	if err != nil {
		return nil, fmt.Errorf("journey: %w", err)
	}
	if cfg.Population == nil {
		cfg.Population = population.New(population.Config{Seed: cfg.Seed})
	}
	r := &Rounds{
		names:     names,
		pop:       cfg.Population,
		draw:      cfg.Population.Draw("events").With(cfg.Stream),
		reference: Reference().Unix(),
		drift:     cfg.Drift,
	}
	r.moments.New = func() any { return new(moment) }
	values, fits := valueFuncs(), fitting()
	for _, name := range names {
		t, _ := cfg.Glossary.Event(name)
		r.types = append(r.types, compile(t, values, fits))
	}
	return r, nil
}

// Types are the names of the event types that Rounds goes round.
func (r *Rounds) Types() []string { return r.names }

// Type is the type of event i; where the event drifts, it may be new.
func (r *Rounds) Type(i uint64) string {
	n := uint64(len(r.types))
	t := &r.types[i%n]
	if r.drift > 0 {
		if news := driftOf(t, r.drift, r.momentDraw(t, i/n)); news.typ != "" {
			return news.typ
		}
	}
	return t.name
}

// Append appends event i as one JSON object without spaces. Members stand in
// the alphabet's order, as in the samples that Braze publishes.
func (r *Rounds) Append(dst []byte, i uint64) []byte { return r.AppendAs(dst, i, nil, 0) }

// AppendAs is Append with another id, and for another instant, in seconds since
// the epoch; nil and 0 leave the event its own.
func (r *Rounds) AppendAs(dst []byte, i uint64, id []byte, at int64) []byte {
	n := uint64(len(r.types))
	t := &r.types[i%n]
	k := i / n
	place := (k + t.offset) % fullEvery
	much := showSome
	if place < 2 {
		much = showFirst + show(place)
	}
	return r.append(dst, t, k, much, id, at)
}

// AppendFull appends an event of type t (an index of Types) that has a value in every
// field of the glossary, whether they go together or not.
func (r *Rounds) AppendFull(dst []byte, t int) []byte {
	return r.append(dst, &r.types[t], 0, showAll, nil, 0)
}

func (r *Rounds) momentDraw(t *eventType, k uint64) population.Draw {
	return r.draw.With(t.key).With(k)
}

func (r *Rounds) append(dst []byte, t *eventType, k uint64, much show, id []byte, at int64) []byte {
	m, _ := r.moments.Get().(*moment)
	d := r.momentDraw(t, k)
	if at == 0 { // one second later each round, give or take some
		at = r.reference + int64(k) - int64(d.With(keyTime).N(20))
		if d.With(keyLate).Chance(2) { // old, as from a device that was offline
			at -= int64(d.With(keyLate).With(1).N(2 * 86400))
		}
	}
	*m = moment{
		typ: t, id: id, pop: r.pop, show: much, turn: int(k % fullEvery), scratch: m.scratch,
		StoryEvent: StoryEvent{Draw: d, Root: d, Time: at},
	}
	if r.drift > 0 {
		m.news = driftOf(t, r.drift, m.Draw)
	}
	m.pickUser()
	m.pickMessage()
	dst = m.append(dst)
	r.moments.Put(m)
	return dst
}

// moment is an event that is being written. Outside of a story only Draw, Root,
// Time, User and what it is about are set of its StoryEvent.
type moment struct {
	StoryEvent

	typ     *eventType
	id      []byte // nil: the one that follows from Draw
	pop     *population.Population
	show    show
	turn    int                // chooses among fields that exclude each other
	channel population.Channel // of the type, or else of the story
	message uint64             // equal for events of the same message
	news    novelty
	inStory bool
	// scratch is for values that are put together before they are escaped.
	scratch []byte
}

// show says how much of its type a moment shows.
type show uint8

const (
	showSome   show = iota // optional fields come and go
	showFirst              // every field that goes with a campaign and an iPhone
	showSecond             // every field that goes with a Canvas and a browser
	showAll                // every field, fitting or not
)

// Keys of what is drawn once for a moment.
const (
	keyUser = iota + 1
	keyTime
	keyLate
	keySource
	keyCampaign
	keyCanvas
	keyVariation
	keyStep
	keyWording
	keyChannel
	keyPlatform
	keyID
)

// flip decides between two cases that exclude each other. One of the two full
// moments of a type shows each; otherwise it is true in percent of all moments,
// equally for all fields that ask for the same name.
func (m *moment) flip(name string, percent int) bool {
	switch m.show {
	case showFirst:
		return false
	case showSecond, showAll:
		return true
	default:
		return m.Draw.With(population.Key(name)).Chance(percent)
	}
}

func (m *moment) pickUser() {
	index := m.Draw.With(keyUser).Bits() % m.pop.Users()
	allowed := m.typ.platforms
	switch m.show {
	case showFirst, showAll:
		m.User = m.pop.UserOn(index, allowed[0], true)
	case showSecond:
		m.User = m.pop.UserOn(index, allowed[1], true)
	default:
		m.User = m.pop.User(index)
		if slices.Contains(allowed, m.User.App.Platform) {
			return
		}
		m.User = m.pop.UserOn(index, population.Pick(m.Draw.With(keyPlatform), allowed), false)
	}
}

func (m *moment) pickMessage() {
	if m.channel = m.typ.channel; m.channel == "" { // such as of a change of a subscription
		switch m.show {
		case showFirst:
			m.channel = population.Email
		case showSecond, showAll:
			m.channel = population.SMS
		default:
			m.channel = population.Pick(m.Draw.With(keyChannel), m.typ.channels)
		}
	}
	wording := m.Draw.With(keyWording)
	if m.typ.hasCampaign && (m.show == showAll || !m.typ.hasCanvas || m.typ.needsCampaign || !m.flip("canvas", 40)) {
		m.Campaign = pick(m.Draw.With(keyCampaign), m.pop.Campaigns[m.channel])
		m.Wording = pick(wording, m.Campaign.Variations)
		m.message = m.Campaign.Key
	}
	if m.Campaign == nil || m.typ.needsCanvas || m.show == showAll && m.typ.hasCanvas {
		m.Canvas = pick(m.Draw.With(keyCanvas), m.pop.Canvases)
		m.Variation = pick(m.Draw.With(keyVariation), m.Canvas.Variations)
		m.Step = pick(m.Draw.With(keyStep), m.Canvas.Steps)
		m.Wording = pick(wording, m.Step.Variations)
		m.message = m.Step.Key
	}
}

func pick[T any](d population.Draw, list []T) *T { return &list[d.N(len(list))] }

// sendDraw is shared by all events of one message within a stretch of seconds.
func (m *moment) sendDraw(stretch int64) population.Draw {
	return m.pop.Draw("sends").With(m.message).With(uint64(m.Time / stretch))
}

// object writes a JSON object whose members come in the alphabet's order, and puts
// one more where it belongs. Each member begins with a comma; end makes a brace of the
// first one.
type object struct {
	dst   []byte
	start int    // of the object in dst
	news  string // a whole member with its comma; empty where there is none or it is written
}

func newObject(dst []byte, news string) object { return object{dst: dst, start: len(dst), news: news} }

// key begins a member; label is a comma, its name in quotes and the colon.
func (o *object) key(label string) {
	if o.news != "" && o.news < label {
		o.dst = append(o.dst, o.news...)
		o.news = ""
	}
	o.dst = append(o.dst, label...)
}

func (o *object) end() []byte {
	o.dst = append(o.dst, o.news...)
	if len(o.dst) == o.start {
		return append(o.dst, "{}"...)
	}
	o.dst[o.start] = '{'
	return append(o.dst, '}')
}

func (m *moment) append(dst []byte) []byte {
	o := newObject(dst, m.news.inEvent)
	o.key(`,"event_type":`)
	o.dst = appendString(o.dst, cmp.Or(m.news.typ, m.typ.name))
	o.key(`,"id":`)
	o.dst = append(o.dst, '"')
	if m.id != nil {
		o.dst = append(o.dst, m.id...)
	} else {
		o.dst = population.AppendUUID(o.dst, m.Draw.With(keyID))
	}
	o.dst = append(o.dst, '"')
	o.key(`,"properties":`)
	o.dst = m.appendObject(o.dst, m.typ.properties, m.news.inProperties)
	o.key(`,"time":`)
	o.dst = strconv.AppendInt(o.dst, m.Time, 10)
	o.key(`,"user":`)
	o.dst = m.appendObject(o.dst, m.typ.user, m.news.inUser)
	return o.end()
}

func (m *moment) appendObject(dst []byte, fields []field, news string) []byte {
	o := newObject(dst, news)
	for i := range fields {
		f := &fields[i]
		d := m.Draw.With(f.key)
		switch shown, null := m.has(f, d); {
		case null:
			o.key(f.label)
			o.dst = append(o.dst, "null"...)
		case shown:
			o.key(f.label)
			o.dst = f.value(o.dst, m, d)
		}
	}
	return o.end()
}

// How often an optional field that fits is missing or null, in percent. Braze
// publishes no such numbers; these are assumptions.
const (
	absentPercent = 12
	nullPercent   = 6
)

// has decides whether a moment shows a field, or null. The external id or else the user
// id is always there, so that the event says whom it happened to.
func (m *moment) has(f *field, d population.Draw) (shown, null bool) {
	identifies := f.external || f.user && !m.User.Identified
	d = d.With(presenceKey)
	switch {
	case f.required || m.show == showAll:
		return true, false
	case f.fits != nil && !f.fits(m):
		return false, f.external && d.Chance(30)
	case f.alone, m.inStory && f.links, m.show != showSome, identifies:
		return true, false
	}
	n := d.N(100)
	return n >= absentPercent+nullPercent, n >= absentPercent && n < absentPercent+nullPercent
}

const presenceKey = 0xFEED

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
