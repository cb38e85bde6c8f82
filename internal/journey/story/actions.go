package story

import (
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/journey"
	"github.com/currentsbridge/currentsbridge/internal/journey/plot"
	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
)

// action is what happens at a node beside its event. It may change the entry, and
// move it to another node, whose action is next. False means that nothing happens,
// or not now.
type action func(s *Stories, e *entry, d population.Draw) bool

func actions() map[string]action {
	return map[string]action{
		plot.Visit:                                (*Stories).visits,
		plot.Newcomer:                             (*Stories).arrives,
		plot.AtCanvas:                             (*Stories).entersCanvas,
		plot.AtAdvance:                            (*Stories).advances,
		"users.canvas.exit.MatchedAudience":       because(journey.Matched),
		"users.canvas.exit.PerformedEvent":        because(journey.Performed),
		plot.AtCanvasSend:                         (*Stories).choosesChannel,
		plot.AtPreference:                         (*Stories).prefers,
		plot.Messages + "email.Unsubscribe":       closes(true, false),
		plot.Messages + "email.MarkAsSpam":        closes(true, false),
		plot.Messages + "pushnotification.Bounce": closes(true, false),
		plot.StopOff:                              closes(true, true),
		plot.GroupOff:                             closes(true, true),
		"users.campaigns.UniqueReceipt":           (*Stories).receives,
		plot.GlobalOn:                             closes(false, false),
		plot.GroupOn:                              closes(false, false),
		plot.TokenOn:                              (*Stories).addsToken,
		plot.TokenNew:                             (*Stories).renewsToken,
		plot.Uninstall:                            (*Stories).uninstalls,
		plot.OptIn:                                (*Stories).optsIn,
		"users.UserOrphan":                        (*Stories).goes,
		"users.UserDeleteRequest":                 (*Stories).goes,
		plot.Enrolled:                             (*Stories).isEnrolled,
		plot.Messages + "inappmessage.Impression": (*Stories).isSent,
		plot.Messages + "banner.Impression":       (*Stories).isSent,
		plot.Behaviors + "liveactivity.PushToStartTokenChange": (*Stories).isNew,
		"agentconsole.AgentExecuted":                           (*Stories).isNew,
		"users.canvas.costep.Send":                             (*Stories).isNew,
	}
}

func actionOf(n *plot.Node) action {
	event, _, _ := strings.Cut(n.Name, "#")
	act := actions()[n.Name]
	switch {
	case act != nil:
		return act
	case strings.HasSuffix(n.Name, ".InboundReceive#stop"):
		return closes(true, false)
	case n.Type >= 0 && strings.HasPrefix(event, plot.Messages) && strings.HasSuffix(event, ".Send") && !strings.Contains(event, "liveactivity"):
		return (*Stories).sends
	case strings.HasPrefix(n.Name, plot.AtSend):
		return (*Stories).aboutToSend
	case strings.HasPrefix(n.Name, plot.AtShow):
		return (*Stories).aboutToShow
	}
	return nil
}

// aboutToSend gives a message its identity, unless the person cannot be reached.
func (s *Stories) aboutToSend(e *entry, d population.Draw) bool {
	if !s.reachable(e) {
		return false
	}
	d = d.With(keyNew)
	e.draw = d
	if e.dispatch == 0 {
		e.dispatch = d.With(keyDispatch)
	}
	e.session, e.until, e.sent = 0, 0, 0
	e.wording = uint8(d.N(3))
	if e.campaign >= 0 {
		e.wording = s.wordingFor(e)
	}
	return true
}

func (s *Stories) aboutToShow(e *entry, d population.Draw) bool {
	e.channel = s.channelOf(e.node)
	list := s.shown[e.channel]
	d = d.With(keyNew)
	e.draw, e.dispatch = d, d.With(keyDispatch)
	e.canvas, e.sent = -1, 0
	first := int32(d.With(1).N(int(list[1])))
	for i := range list[1] {
		e.campaign = list[0] + (first+i)%list[1]
		if s.fits(e) {
			e.wording = s.wordingFor(e)
			return true
		}
	}
	return false
}

// wordingFor is the variation of the campaign that the person gets each time.
func (s *Stories) wordingFor(e *entry) uint8 {
	return controlVariation + 1 + uint8(s.member(e).With(1).N(len(s.campaigns[e.campaign].Variations)-1))
}

func (s *Stories) isEnrolled(e *entry, d population.Draw) bool {
	e.wording = controlVariation
	return s.isSent(e, d)
}

func (s *Stories) reachable(e *entry) bool {
	one := s.people.get(e.slot)
	return !one.isClosed(e.channel) && (!one.gone || e.channel != pushChannel)
}

// quietSpread is how long after the quiet hours waiting messages are sent.
var quietSpread = scenario.Span{Max: 30 * 60}

// sends is the send itself. In the quiet hours it waits for their end.
func (s *Stories) sends(e *entry, d population.Draw) bool {
	if !s.reachable(e) {
		return false
	}
	if wait := s.quietFor(e); wait > 0 {
		e.at += wait + quietSpread.Choose(d.With(keySpan))
		s.agenda.add(e)
		return false
	}
	return s.isSent(e, d)
}

func (s *Stories) isSent(e *entry, _ population.Draw) bool {
	e.sent = e.at
	return true
}

// closes closes the entry's channel to the person, or opens it. False means that it
// was so before, which always does not mind.
func closes(closed, always bool) action {
	return func(s *Stories, e *entry, _ population.Draw) bool {
		was := s.people.get(e.slot).isClosed(e.channel)
		s.people.at(e.slot).setClosed(e.channel, closed)
		return always || was != closed
	}
}

func (s *Stories) optsIn(e *entry, _ population.Draw) bool {
	e.channel = channelIndex(population.Email)
	return !s.people.get(e.slot).isClosed(e.channel)
}

func (s *Stories) prefers(e *entry, d population.Draw) bool {
	e.channel = channelIndex(population.Pick(d.With(keyNew), journey.GroupChannels()))
	e.node = s.graph.Index[plot.GroupOff]
	if s.people.get(e.slot).isClosed(e.channel) {
		e.node = s.graph.Index[plot.GroupOn]
	}
	return true
}

// receives is true for the first message of a campaign to the person.
func (s *Stories) receives(e *entry, _ population.Draw) bool {
	first := *e
	first.wording = 0
	return s.isFirst(&first, s.graph.Nodes[e.node].Type)
}

// addsToken is a new push token: after an installation, or a lost token.
func (s *Stories) addsToken(e *entry, _ population.Draw) bool {
	one := s.people.at(e.slot)
	one.gone = false
	one.setClosed(pushChannel, false)
	one.token++
	e.token = one.token
	return true
}

func (s *Stories) renewsToken(e *entry, d population.Draw) bool {
	one := s.people.get(e.slot)
	if e.device != 0 || one.gone || one.isClosed(pushChannel) {
		return false
	}
	return s.addsToken(e, d)
}

func (s *Stories) uninstalls(e *entry, _ population.Draw) bool {
	one := s.people.at(e.slot)
	was := one.gone
	one.gone = true
	one.setClosed(pushChannel, true)
	return !was
}

// goes removes the person from the workspace; a new one takes the index.
func (s *Stories) goes(e *entry, _ population.Draw) bool {
	s.people.replace(e.slot)
	return true
}

// arrives makes a new person, who takes the index of another.
func (s *Stories) arrives(e *entry, d population.Draw) bool {
	s.people.replace(e.slot)
	e.life = s.people.get(e.slot).life
	e.session = d.With(keyNew)
	return true
}

// visits opens the app, on one of the person's devices.
func (s *Stories) visits(e *entry, d population.Draw) bool {
	if e.session == 0 {
		e.session = d.With(keyNew)
		if e.goal == 0 && e.campaign < 0 && e.canvas < 0 { // a message is opened on the device that got it
			s.takeDevice(e, d)
		}
	}
	if e.device == 0 && s.people.get(e.slot).gone {
		return false
	}
	e.began, e.until = e.at, e.at+goalVisit
	if e.goal == 0 {
		e.until = e.at + max(2, s.scenario.Outcomes["session.end"].After.Choose(d.With(keySpan)))
	}
	return true
}

// goalVisit is how many seconds a session takes that is made for a rare event.
const goalVisit = 12

func (s *Stories) takeDevice(e *entry, d population.Draw) {
	user := s.pop.Person(uint64(e.slot), uint64(e.life))
	if n := user.Devices(); n > 1 {
		e.device = uint8(d.With(keyNew + 50).N(n))
		user = s.pop.OnDevice(user, int(e.device))
		e.platform = plot.SetOf(user.App.Platform)
	}
}

// isNew gives a thread an identity of its own.
func (s *Stories) isNew(e *entry, d population.Draw) bool {
	e.draw = d.With(keyNew)
	e.dispatch = e.draw.With(keyDispatch)
	return true
}

func because(reason journey.Exit) action {
	return func(_ *Stories, e *entry, _ population.Draw) bool {
		e.reason = reason
		return true
	}
}

// The steps of a Canvas: an entry, a message, a wait, two more messages.
const (
	firstMessage = 1
	waitStep     = 2
)

func (s *Stories) entersCanvas(e *entry, d population.Draw) bool {
	d = d.With(keyNew)
	e.draw, e.entry, e.sent = d, d.With(3), e.at
	all := len(s.pop.Canvases)
	first := d.N(all)
	for i := range all {
		e.canvas = int8((first + i) % all)
		if s.fits(e) {
			variations := s.pop.Canvases[e.canvas].Variations
			e.variation, e.wording = uint8(s.member(e).With(1).N(len(variations))), uint8(d.With(2).N(2))
			return true
		}
	}
	return false
}

func (s *Stories) advances(e *entry, d population.Draw) bool {
	if int(e.step)+1 == len(s.pop.Canvases[e.canvas].Steps) {
		e.node = s.graph.Index[plot.Exited]
		return true
	}
	e.step++
	e.wording = uint8(d.With(keyNew).N(2))
	e.node = s.graph.Index[plot.Advanced]
	if e.step == waitStep {
		e.node = s.graph.Index[plot.Delayed]
	}
	return true
}

// choosesChannel chooses by the Canvas and the step, so that each Canvas has
// channels of its own.
func (s *Stories) choosesChannel(e *entry, _ population.Draw) bool {
	channels := []population.Channel{
		population.Email, population.Push, population.SMS, population.Email, population.WhatsApp,
		population.Push, population.ContentCard, population.RCS, population.Webhook, population.LINE,
	}
	e.campaign, e.dispatch = -1, 0
	channel := channels[(int(e.canvas)*3+int(e.step))%len(channels)]
	e.channel = channelIndex(channel)
	e.node = s.graph.Index[plot.AtSend+string(channel)]
	return true
}

const pushChannel uint8 = 1

// controlVariation is the variation of a campaign that its control group is in;
// the others are messages.
const controlVariation = 0

// member draws the choices that are made once for a person and a campaign or Canvas.
// Braze keeps people in the variation or the control group of a recurring campaign
// that they were in before, while its shares stay (Braze's documentation of A/B
// tests); of Canvases that is an assumption.
func (s *Stories) member(e *entry) population.Draw {
	d := s.pop.Draw("members")
	if e.campaign >= 0 {
		d = d.With(population.Key(s.campaigns[e.campaign].ID))
	} else {
		d = d.With(population.Key(s.pop.Canvases[e.canvas].ID))
	}
	return d.With(uint64(e.slot)).With(uint64(e.life))
}

// fits says whether the thread of an entry may continue with the next node of its
// path: a person of a control group gets no message, and no other is enrolled.
// Where a scenario leaves no choice, with a share of none or of all, the path wins.
func (s *Stories) fits(e *entry) bool {
	next := s.next(e)
	if next < 0 {
		return true
	}
	for _, group := range s.graph.Nodes[s.graph.Paths[e.goal-1][e.pos]].Groups {
		for i := range group {
			edge := &group[i]
			if edge.Only.Stays() && edge.Share > 0 && edge.Share < scenario.Whole && s.can(e, edge) {
				return edge.Share.Hits(s.member(e)) == (next == edge.To)
			}
		}
	}
	return true
}
