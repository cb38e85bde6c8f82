package story

import (
	"cmp"
	"math/big"
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/journey/plot"
	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
)

type rate struct {
	node     int16
	channel  uint8
	campaign int32
	perHour  uint64 // in millionths
}

// running is a campaign that is sent to many at once; times are in minutes.
type running struct {
	scenario.Campaign
	rate
	every, over int64
}

func (s *Stories) plan() {
	for _, weight := range s.scenario.Hours {
		s.hourMax = max(s.hourMax, weight)
		s.hourSum += weight
	}
	for i, start := range scenario.KnownStarts() {
		s.addRate(rate{node: s.graph.Index[plot.Roots()[i]], campaign: -1}, s.scenario.Starts[start.Name])
	}
	for _, c := range []population.Channel{population.InApp, population.Banner, population.FeatureFlag} {
		s.shown[channelIndex(c)] = [2]int32{int32(len(s.campaigns)), int32(len(s.pop.Campaigns[c]))}
		s.campaigns = append(s.campaigns, s.pop.Campaigns[c]...)
	}
	count := make(map[population.Channel]int)
	for _, c := range s.scenario.Campaigns {
		s.addCampaign(c, count[c.Channel])
		count[c.Channel]++
	}
	// Rare types need a campaign on every channel.
	for _, root := range plot.Roots() {
		name, sends := strings.CutPrefix(root, plot.AtSend)
		if channel := population.Channel(name); sends && count[channel] == 0 {
			s.addCampaign(scenario.Campaign{Channel: channel}, 0)
		}
	}
	for _, c := range s.running {
		s.rates[c.node] = cmp.Or(s.rates[c.node], c.rate)
	}
	users := s.pop.Users()
	s.shuffle = users*618/1000 + 1
	for new(big.Int).GCD(nil, nil, big.NewInt(int64(s.shuffle)), big.NewInt(int64(users))).Cmp(big.NewInt(1)) != 0 {
		s.shuffle++
	}
}

func (s *Stories) addRate(r rate, perHour scenario.Count) {
	r.perHour = uint64(perHour) * uint64(s.scenario.Pace)
	s.starts = append(s.starts, r)
	s.rates[r.node] = cmp.Or(s.rates[r.node], r)
}

func (s *Stories) addCampaign(c scenario.Campaign, n int) {
	r := rate{
		node: s.graph.Index[plot.AtSend+string(c.Channel)], channel: channelIndex(c.Channel), campaign: int32(len(s.campaigns)),
	}
	s.campaigns = append(s.campaigns, s.pop.Campaign(c.Channel, n, c.Name))
	if c.Every == 0 {
		s.addRate(r, c.PerHour)
		return
	}
	s.running = append(s.running, running{c, r, int64(c.Every / 60), int64(c.Over / 60)})
}

// beginMinute adds the threads that begin in the next minute to the agenda.
func (s *Stories) beginMinute() {
	m := s.minute
	s.minute++
	d := s.draw.With(keyMinute).With(uint64(m))
	for i := range s.starts {
		s.beginRate(&s.starts[i], m, d.With(uint64(i)))
	}
	for i := range s.running {
		offsets := []int{0}
		if s.running[i].Local {
			offsets = s.offsets
		}
		for _, offset := range offsets {
			s.blast(&s.running[i], m, offset)
		}
	}
	if m-s.forced >= turnAfter {
		s.nextTurn(m * 60)
	}
}

// beginRate begins as many threads as the rate has in the busiest minute of the day,
// and leaves out some by the hour at the person's place.
func (s *Stories) beginRate(r *rate, m int64, d population.Draw) {
	// A day has 24 hours of 60 minutes; the busiest hour is hourMax of hourSum.
	scale := uint64(60) * uint64(scenario.Whole) * uint64(s.hourSum)
	busy := r.perHour * 24 * uint64(s.hourMax)
	n := int(busy / scale)
	if d.With(1).Bits()%scale < busy%scale {
		n++
	}
	if n > 1 { // some minutes have more than others
		n = d.With(2).Between(n-n/3, n+n/3)
	}
	for i := range n {
		d := d.With(uint64(i) + 3)
		slot := uint32(d.Bits() % s.pop.Users())
		e := s.entry(slot)
		place := s.pop.PlaceOf(uint64(slot), uint64(e.life))
		e.at = max(m*60+int64(d.With(1).N(60)), s.begin)
		if d.With(2).N(s.hourMax) >= s.scenario.Hours[localMinute(e.at, place)/60] {
			continue
		}
		s.beginAt(r, &e)
	}
}

// entry is the beginning of a thread of the person at slot.
func (s *Stories) entry(slot uint32) entry {
	one := s.people.get(slot)
	return entry{thread: thread{
		slot: slot, life: one.life, token: one.token, canvas: -1, campaign: -1,
		platform: plot.SetOf(population.PlatformOf(uint64(slot))),
	}}
}

func (s *Stories) beginAt(r *rate, e *entry) {
	e.node, e.channel, e.campaign = r.node, r.channel, r.campaign
	if s.graph.Nodes[r.node].Allowed&e.platform != 0 {
		s.agenda.add(e)
	}
}

func localMinute(at int64, place *population.Place) int {
	return int(((at/60+int64(place.Offset))%1440 + 1440) % 1440)
}

// blast begins a minute's part of a campaign that is sent to many at once: for the
// people who are next in a shuffled order, at places of one offset where the campaign
// is in local time.
func (s *Stories) blast(c *running, m int64, offset int) {
	since := m + int64(offset) - s.begin/86400*1440 - int64(c.At)
	turn := since / c.every
	if since < 0 {
		turn--
	}
	place := since - turn*c.every
	if place >= c.over {
		return
	}
	dispatch := s.draw.With(keyBlast).With(uint64(c.campaign)).With(uint64(turn + 1))
	users := s.pop.Users()
	over := uint64(c.over)
	for i := uint64(place) * users / over; i < uint64(place+1)*users/over; i++ {
		slot := uint32((i*s.shuffle + uint64(turn+1)) % users)
		d := dispatch.With(uint64(slot))
		if !c.Audience.Hits(d) {
			continue
		}
		e := s.entry(slot)
		if c.Local && s.pop.PlaceOf(uint64(slot), uint64(e.life)).Offset != offset {
			continue
		}
		e.at = max(m*60+int64(d.With(1).N(60)), s.begin)
		e.dispatch = dispatch
		s.beginAt(&c.rate, &e)
	}
}

// quietFor is how long the person's quiet hours last from now on, 0 outside of them.
func (s *Stories) quietFor(e *entry) int64 {
	q := &s.scenario.Quiet
	if q.From == q.To || !slices.Contains(q.Channels, s.channels[e.channel]) {
		return 0
	}
	local := localMinute(e.at, s.pop.PlaceOf(uint64(e.slot), uint64(e.life)))
	since := (local - int(q.From) + 1440) % 1440
	length := (int(q.To) - int(q.From) + 1440) % 1440
	if since >= length {
		return 0
	}
	return int64(length-since)*60 - e.at%60
}

func (s *Stories) channelOf(node int16) uint8 {
	_, name, _ := strings.Cut(s.graph.Nodes[node].Name, " ")
	return channelIndex(population.Channel(name))
}
