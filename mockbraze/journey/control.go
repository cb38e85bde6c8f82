package journey

import (
	"github.com/currentsbridge/currentsbridge/mockbraze/population"
	"github.com/currentsbridge/currentsbridge/mockbraze/scenario"
)

// controlVariation is the variation of a campaign that its control group is in;
// the others are messages.
const controlVariation = 0

// member is where the choices come from that stay with a person and a campaign
// or Canvas however often both meet. Braze keeps people in the variation or the
// control group of a recurring campaign that they were in before, while its
// shares stay (Braze's documentation of A/B tests); of Canvases that is an
// assumption.
func (s *Stories) member(e *entry) population.Draw {
	d := s.pop.Draw("members")
	if e.campaign >= 0 {
		d = d.With(population.Key(s.campaigns[e.campaign].ID))
	} else {
		d = d.With(population.Key(s.pop.Canvases[e.canvas].ID))
	}
	return d.With(uint64(e.slot)).With(uint64(e.life))
}

// stays says whether a choice is made once for a person and a campaign or Canvas.
func (c condition) stays() bool { return c == controlOfCampaign || c == controlOfCanvas }

// fits says whether the thread of an entry may go on to the next node of its
// path: nobody of a control group gets a message, and nobody else is enrolled.
// Where a scenario leaves no choice, a share of none or of all, what must happen
// happens all the same.
func (s *Stories) fits(e *entry) bool {
	path := s.path(e)
	if int(e.pos)+1 >= len(path) {
		return true
	}
	for _, group := range s.graph.nodes[path[e.pos]].groups {
		for i := range group {
			edge := &group[i]
			if edge.only.stays() && edge.share > 0 && edge.share < scenario.Whole && s.can(e, edge) {
				return chanceOf(s.member(e), edge.share) == (path[e.pos+1] == edge.to)
			}
		}
	}
	return true
}
