package journey

import (
	"github.com/currentsbridge/currentsbridge/mockbraze/population"
)

// moment is one thing that happened: to whom, where, by which message.
type moment struct {
	typ   *eventType
	pop   *population.Population
	draw  population.Draw
	show  show
	time  int64 // seconds since the epoch
	user  population.User
	about message
	// root is where the choices come from that stay with what is about, such as
	// the agent: draw, or in a story what the thread has.
	root population.Draw
	// tale is the thread that the moment belongs to, nil outside of a story;
	// note tells apart the nodes of its type.
	tale *thread
	note string
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

// message is what a message event is about: a campaign or a step of a Canvas.
type message struct {
	channel   population.Channel
	campaign  *population.Campaign
	canvas    *population.Canvas
	variation *population.Named // of the Canvas
	step      *population.Step
	wording   *population.Named // the message's variation
	key       uint64            // equal for events of the same message
}

// Keys of what is drawn once for a whole moment.
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

// flip decides between two cases that exclude each other, so that the two full
// moments of a type show both: name is the same for all who ask, percent how
// often it is true otherwise.
func (m *moment) flip(name string, percent int) bool {
	switch m.show {
	case showFirst:
		return false
	case showSecond, showAll:
		return true
	default:
		return m.draw.With(population.Key(name)).Chance(percent)
	}
}

// pickUser chooses who it happens to.
func (m *moment) pickUser() {
	index := m.draw.With(keyUser).Bits() % m.pop.Users()
	allowed := m.typ.platforms
	switch m.show {
	case showFirst, showAll:
		m.user = m.pop.UserOn(index, allowed[0], true)
	case showSecond:
		m.user = m.pop.UserOn(index, allowed[1], true)
	default:
		m.user = m.pop.User(index)
		for _, p := range allowed {
			if m.user.App.Platform == p {
				return
			}
		}
		m.user = m.pop.UserOn(index, population.Pick(m.draw.With(keyPlatform), allowed), false)
	}
}

// pickMessage chooses the campaign or the Canvas, where the type has one.
func (m *moment) pickMessage() {
	a := &m.about
	a.channel = m.typ.channel
	if a.channel == "" {
		a.channel = m.pickChannel()
	}
	if m.typ.hasCampaign && (m.show == showAll || !m.typ.hasCanvas || !m.flip("canvas", 40)) {
		a.campaign = &m.pop.Campaigns[a.channel][m.draw.With(keyCampaign).N(len(m.pop.Campaigns[a.channel]))]
		a.wording = &a.campaign.Variations[m.draw.With(keyWording).N(len(a.campaign.Variations))]
		a.key = population.Key(a.campaign.ID)
	}
	if m.typ.hasCanvas && (m.show == showAll || a.campaign == nil) {
		a.canvas = &m.pop.Canvases[m.draw.With(keyCanvas).N(len(m.pop.Canvases))]
		a.variation = &a.canvas.Variations[m.draw.With(keyVariation).N(len(a.canvas.Variations))]
		a.step = &a.canvas.Steps[m.draw.With(keyStep).N(len(a.canvas.Steps))]
		a.wording = &a.step.Variations[m.draw.With(keyWording).N(len(a.step.Variations))]
		a.key = population.Key(a.step.ID)
	}
}

// pickChannel chooses a channel for a type that belongs to none, such as a
// change of a subscription.
func (m *moment) pickChannel() population.Channel {
	switch m.show {
	case showFirst:
		return population.Email
	case showSecond, showAll:
		return population.SMS
	default:
		return population.Pick(m.draw.With(keyChannel), m.typ.channels)
	}
}

// sendDraw is a source of choices that all events of one message sent within
// the same stretch of seconds share.
func (m *moment) sendDraw(stretch int64) population.Draw {
	return m.pop.Draw("sends").With(m.about.key).With(uint64(m.time / stretch))
}
