// Package story makes events of which one follows from another, by a scenario: a
// send leads to a delivery, that to an open, a click, a session, a purchase, a
// conversion. It simulates the workspace on a clock of its own and sends events in
// order. What happens depends on the seed, the stream and the scenario only. It
// keeps what is to come, some bytes for each person to whom something lasting
// happened, and an entry for each message that a person saw the first time. A type
// of a newer glossary, which no plot has, happens without a cause.
package story

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/journey"
	"github.com/currentsbridge/currentsbridge/internal/journey/plot"
	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// Config is what Stories are made from. Glossary and Scenario are needed.
type Config struct {
	Glossary *schemas.Glossary
	Seed     uint64
	Stream   uint64 // in each, other things happen to the same people
	Scenario *scenario.Scenario
	// Types narrow what is sent, as path.Match patterns; none means all current
	// ones. What happens stays the same, ids included. Retired types happen with
	// Retired, or where they are named whole.
	Types   []string
	Retired bool
}

// Stories makes the events of a workspace, in order, without an end. The size of the
// agenda depends on the scenario and not on the length of the run. Stories are not for
// concurrent use.
type Stories struct {
	scenario *scenario.Scenario
	pop      *population.Population
	graph    *plot.Graph
	acts     []action // by node; nil: the event alone
	writer   *journey.StoryWriter
	wanted   []bool // by event type
	draw     population.Draw

	campaigns []population.Message
	shown     [12][2]int32 // the campaigns shown in an app, by channel: first and how many
	running   []running
	starts    []rate
	rates     map[int16]rate // the first that begins at each node
	shuffle   uint64         // a step that visits every user once
	hourMax   int
	hourSum   int
	offsets   []int
	channels  []population.Channel

	begin  int64 // of everything, in seconds
	minute int64 // the next to be simulated
	people people
	firsts map[firstKey]uint16 // the life of the person for whom it was the first
	agenda agenda
	made   uint64   // events that happened
	seen   []uint64 // when each type last happened, counted in made
	turn   int      // the type whose turn is next
	forced int64    // the minute of the last turn
	idle   int      // turns since an event was returned
	over   error    // why there are no more events

	now   entry
	event journey.StoryEvent
}

// New makes Stories.
func New(cfg Config) (*Stories, error) {
	names, err := journey.Select(cfg.Glossary, cfg.Types, cfg.Retired)
	if err != nil {
		return nil, fmt.Errorf("journey: %w", err)
	}
	anonymous := int(cfg.Scenario.WithoutExternalID / (scenario.Whole / 100))
	if anonymous == 0 {
		anonymous = -1
	}
	pop := population.New(population.Config{Seed: cfg.Seed, Users: cfg.Scenario.Users, AnonymousPercent: anonymous})
	s := &Stories{
		scenario: cfg.Scenario,
		pop:      pop,
		draw:     pop.Draw("stories").With(cfg.Stream),
		begin:    journey.Reference().Unix(),
		people:   make(people),
		agenda:   agenda{due: map[int64][]entry{}},
		firsts:   make(map[firstKey]uint16),
		rates:    make(map[int16]rate),
		offsets:  pop.Offsets(),
		channels: population.Channels(),
	}
	s.minute = s.begin / 60
	s.forced, s.agenda.second = s.minute, s.minute*60
	if s.graph, err = plot.New(cfg.Glossary, cfg.Scenario, names); err != nil {
		return nil, fmt.Errorf("journey: %w", err)
	}
	for i := range s.graph.Nodes {
		s.acts = append(s.acts, actionOf(&s.graph.Nodes[i]))
	}
	s.writer = journey.NewStoryWriter(cfg.Glossary, s.pop, &s.scenario.Rough)
	for i := range cfg.Glossary.Events {
		s.wanted = append(s.wanted, slices.Contains(names, cfg.Glossary.Events[i].Name))
	}
	s.seen = make([]uint64, len(s.wanted))
	s.plan()
	return s, nil
}

// Next appends the next event to dst, as one JSON object without spaces, and
// returns it with its type and the instant at which Braze would have it to
// send. That instant never goes back; the event's own time does where a device
// was offline or an event comes again. The type of an event that drifted may be new.
//
// Where there are no more wanted events it appends nothing and returns an empty type;
// then Err says why.
func (s *Stories) Next(dst []byte) (event []byte, eventType string, at time.Time) {
	for !s.isOver() {
		var ok bool
		if s.now, ok = s.agenda.take(s.minute * 60); !ok {
			s.beginMinute()
			continue
		}
		if !s.now.send && !s.happens(&s.now) {
			continue
		}
		if !s.now.copied { // also unwanted ones, so that the order stays
			s.repeat(&s.now)
		}
		if !s.wanted[s.graph.Nodes[s.now.node].Type] {
			continue
		}
		s.idle = 0
		event, eventType = s.append(dst, &s.now)
		return event, eventType, time.Unix(s.now.at, 0).UTC()
	}
	return dst, "", time.Time{}
}

// happens simulates an entry; false means that there is nothing to send now.
func (s *Stories) happens(e *entry) bool {
	if s.people.get(e.slot).life != e.life {
		return false // the person has left
	}
	d := s.draw.With(keyHappens).With(e.order)
	for {
		before := e.node
		if act := s.acts[e.node]; act != nil && !act(s, e, d) {
			return false
		}
		if e.node == before {
			break
		}
		if s.next(e) == e.node {
			e.pos++
		}
	}
	n := &s.graph.Nodes[e.node]
	if n.Type < 0 {
		s.follow(e, n, d)
		return false
	}
	s.made++
	s.seen[n.Type] = s.made
	e.number, e.time = s.made, e.at
	if s.writer.Unique(n.Type) {
		e.first = s.isFirst(e, n.Type)
	}
	exempt := e.goal > 0
	s.follow(e, n, d)
	if s.made%turnEvery == 0 {
		s.nextTurn(e.at)
	}
	return exempt || !n.Device || !s.offline(e)
}

func (s *Stories) follow(e *entry, n *plot.Node, d population.Draw) {
	forced := s.next(e)
	for i, group := range n.Groups {
		d := d.With(uint64(i) + 10)
		if j := slices.IndexFunc(group, func(edge plot.Edge) bool { return edge.To == forced }); j >= 0 {
			s.goOn(e, &group[j], d, true)
			forced = -1
			continue
		}
		for j := range group {
			edge := &group[j]
			if !s.can(e, edge) {
				continue
			}
			of := d.With(uint64(j))
			if edge.Only.Stays() {
				of = s.member(e)
			}
			if edge.Share == scenario.Whole || edge.Share.Hits(of) {
				s.goOn(e, edge, d, false)
				break
			}
		}
	}
}

// firstKey is one kind of event about one message to one person.
type firstKey struct {
	slot     uint32
	campaign int32
	typ      int16
	canvas   int8
	step     uint8
	wording  uint8
}

// isFirst says whether the person had no such event about this wording before.
func (s *Stories) isFirst(e *entry, typ int16) bool {
	key := firstKey{slot: e.slot, campaign: e.campaign, typ: typ, canvas: e.canvas, step: e.step, wording: e.wording}
	if e.campaign >= 0 {
		key.canvas, key.step = -1, 0
	}
	life, known := s.firsts[key]
	if known && life == e.life {
		return false
	}
	s.firsts[key] = e.life
	return true
}

// next is the next node on the path to the goal of the entry's thread, -1 for none.
func (s *Stories) next(e *entry) int16 {
	if e.goal > 0 {
		if path := s.graph.Paths[e.goal-1]; int(e.pos)+1 < len(path) {
			return path[e.pos+1]
		}
	}
	return -1
}

func (s *Stories) goOn(e *entry, edge *plot.Edge, d population.Draw, forced bool) {
	next := entry{thread: e.thread, node: edge.To}
	if forced {
		next.pos++
		next.at = e.at + 1
	} else {
		next.goal, next.pos = 0, 0
		next.at = e.at + edge.After.Choose(d.With(keySpan))
	}
	switch {
	case edge.Ends:
		next.at = e.until
	case e.until > 0:
		next.at = max(e.at, min(next.at, e.until-1))
	}
	s.agenda.add(&next)
}

func (s *Stories) can(e *entry, edge *plot.Edge) bool {
	if s.graph.Nodes[edge.To].Allowed&e.platform == 0 {
		return false
	}
	inWindow := e.sent > 0 && e.at+int64(edge.After.Max)-e.sent <= int64(s.scenario.ConversionWindow)
	switch edge.Only {
	case plot.ControlOfCampaign, plot.FirstOfCampaign:
		return e.campaign >= 0
	case plot.ControlOfCanvas:
		return e.canvas >= 0
	case plot.InWindowOfCampaign:
		return e.campaign >= 0 && inWindow
	case plot.InWindowOfCanvas:
		return e.canvas >= 0 && inWindow
	case plot.AtMessageStep:
		return e.step != waitStep
	case plot.AtFirstMessage:
		return e.step == firstMessage
	default:
		return true
	}
}

// Keys of what is drawn for stories.
const (
	keyHappens = iota + 100
	keySpan
	keyMinute
	keyTurn
	keyBlast
	keyEvent
	keyOffline
	keyRepeat
	keyNew
	keyDispatch
)

// Rare types get their turn. After each turnEvery events, or turnAfter minutes
// with fewer, it is the next type's turn, in the glossary's order: if it did not
// happen since its last turn, a thread begins that leads to it, one second a step.
// So every type happens within two rounds of turns and the seconds of the thread.
const (
	turnEvery = 64
	turnAfter = 24 * 60
	// turnTries is how many people are tried.
	turnTries = 512
	// maxRounds is how many rounds of turns without a wanted event end Stories:
	// twice what it takes where there are people for each type.
	maxRounds = 4
)

// ErrOver says that there are no more wanted events.
var ErrOver = errors.New("none of the wanted event types happens any more")

// Err is nil, or an ErrOver that says what to change: all people have left, or
// none of a few has the device that a type needs. Once it is set it stays.
func (s *Stories) Err() error { return s.over }

// isOver says whether all types had their turns and no wanted event happened.
func (s *Stories) isOver() bool {
	if s.over == nil && s.idle >= maxRounds*len(s.wanted) {
		s.over = fmt.Errorf("%w to the %d people of the scenario: give it more users, more newcomers "+
			"(starts.newcomers, with a pace above 0%%), or ask for more types", ErrOver, s.pop.Users())
	}
	return s.over != nil
}

// nextTurn begins the thread of the type whose turn it is, at an instant.
func (s *Stories) nextTurn(at int64) {
	typ := s.turn
	s.turn = (s.turn + 1) % len(s.wanted)
	s.forced = at / 60
	s.idle++
	round := uint64(len(s.wanted)) * turnEvery
	path := s.graph.Paths[typ]
	if len(path) == 0 || s.seen[typ] > 0 && s.made-s.seen[typ] < round {
		return
	}
	root := s.graph.Nodes[path[0]]
	platforms := s.graph.PathPlatforms(path)
	r, ok := s.rates[path[0]]
	if !ok {
		r.campaign = -1
	}
	d := s.draw.With(keyTurn).With(s.made).With(uint64(at))
	for try := range uint64(turnTries) {
		slot := uint32(d.With(try).Bits() % s.pop.Users())
		e := s.entry(slot)
		e.node, e.channel, e.campaign, e.at = path[0], r.channel, r.campaign, at
		e.goal = uint16(typ) + 1
		if e.platform&platforms != 0 && s.ready(&e, root.Name) {
			s.agenda.add(&e)
			return
		}
	}
}

// ready says whether a person can take part: reachable, with the app, awake.
func (s *Stories) ready(e *entry, root string) bool {
	one := s.people.get(e.slot)
	if root == plot.OptIn {
		e.channel = channelIndex(population.Email)
	}
	if root == plot.AtCanvas {
		trial := *e // whether a Canvas fits does not depend on the draw
		return !one.gone && !one.isClosed(pushChannel) && s.entersCanvas(&trial, 0)
	}
	return !one.gone && !one.isClosed(e.channel) && !one.isClosed(pushChannel) && s.quietFor(e) == 0 && s.fits(e)
}

func (s *Stories) append(dst []byte, e *entry) (event []byte, eventType string) {
	n, t := &s.graph.Nodes[e.node], &s.event
	*t = journey.StoryEvent{
		Type: n.Type, Draw: s.draw.With(keyEvent).With(e.number), Root: e.draw, Note: n.Note, First: e.first, Time: e.time,
		User:    s.pop.OnDevice(s.pop.Person(uint64(e.slot), uint64(e.life)), int(e.device)),
		Channel: s.channels[e.channel], Dispatch: e.dispatch, Entry: e.entry, Session: e.session,
		Place: int(e.step), Sent: e.sent, Began: e.began, Exit: e.reason,
	}
	t.User.Tokens = int(e.token)
	switch {
	case e.campaign >= 0:
		t.Campaign = &s.campaigns[e.campaign]
		t.Wording = &t.Campaign.Variations[int(e.wording)%len(t.Campaign.Variations)]
	case e.canvas >= 0:
		t.Canvas = &s.pop.Canvases[e.canvas]
		t.Variation = &t.Canvas.Variations[e.variation]
		t.Step = &t.Canvas.Steps[e.step]
		t.Wording = &t.Step.Variations[int(e.wording)%len(t.Step.Variations)]
	}
	return s.writer.Append(dst, t)
}

// offline says whether the device was offline when the entry happened, as it then is
// for an hour, and adds its event to the agenda for when it is online again.
func (s *Stories) offline(e *entry) bool {
	late := s.scenario.Rough.Late
	if late.Share == 0 {
		return false
	}
	hour := e.at / 3600
	d := s.draw.With(keyOffline).With(uint64(e.slot)).With(uint64(hour)).With(uint64(e.device))
	if !late.Share.Hits(d) {
		return false
	}
	later := *e
	later.send, later.at = true, (hour+1)*3600+late.After.Choose(d.With(1))
	s.agenda.add(&later)
	return true
}

func (s *Stories) repeat(e *entry) {
	repeats := s.scenario.Rough.Repeats
	d := s.draw.With(keyRepeat).With(e.number)
	if repeats.Share == 0 || !repeats.Share.Hits(d) {
		return
	}
	again := *e
	again.send, again.copied = true, true
	again.at += repeats.After.Choose(d.With(1))
	s.agenda.add(&again)
}
