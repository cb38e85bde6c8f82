package plot

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// Graph is a plot, prepared for one scenario.
type Graph struct {
	Nodes []Node
	Index map[string]int16 // by name
	Paths [][]int16        // for each event type of the glossary, the nodes that lead to it
}

// Node is one thing that can happen.
type Node struct {
	Name    string
	Type    int16 // index of the event type, -1 for none
	Allowed Platforms
	Device  bool // happens on a device, which may be offline
	Note    string
	Groups  [][]Edge // of each group, one edge is taken at most
}

// Edge leads to a node that may follow.
type Edge struct {
	To    int16
	Share scenario.Share
	After scenario.Span
	Only  Condition
	Ends  bool // the end of the session
}

// New compiles the plot. A retired type happens only where it is wanted. It
// fails where the scenario lacks an outcome.
func New(g *schemas.Glossary, s *scenario.Scenario, wanted []string) (*Graph, error) {
	types := make(map[string]int16, len(g.Events))
	for i := range g.Events {
		types[g.Events[i].Name] = int16(i)
	}
	out := &Graph{Index: make(map[string]int16)}
	all := story()
	for _, f := range all {
		out.node(f.node, types)
		for _, c := range slices.Concat(f.groups...) {
			out.node(c.to, types)
		}
	}
	for _, root := range Roots() {
		out.node(root, types)
	}
	for _, f := range all {
		n := &out.Nodes[out.Index[f.node]]
		for _, group := range f.groups {
			edges := make([]Edge, len(group))
			for i, c := range group {
				o, ok := s.Outcomes[c.outcome]
				if c.outcome == always {
					o, ok = scenario.Outcome{Share: scenario.Whole}, true
				}
				if !ok {
					return nil, fmt.Errorf("the scenario has no outcome %s: make it with scenario.Parse", c.outcome)
				}
				edges[i] = Edge{out.Index[c.to], o.Share, o.After, c.only, c.to == VisitEnd}
			}
			n.Groups = append(n.Groups, edges)
		}
	}
	out.findPaths(g, types, wanted)
	return out, nil
}

// node adds a node once.
func (g *Graph) node(name string, types map[string]int16) {
	if _, known := g.Index[name]; known {
		return
	}
	event, note, _ := strings.Cut(name, "#")
	n := Node{Name: name, Type: -1, Allowed: anyPlatform, Note: note}
	if typ, ok := types[event]; ok {
		n.Type, n.Allowed, n.Device = typ, SetOf(PlatformsOf(event)...), OnDevice(event)
	}
	g.Index[name] = int16(len(g.Nodes))
	g.Nodes = append(g.Nodes, n)
}

// OnDevice says whether an event is one that a device reports, which it can
// only do once it is online.
func OnDevice(event string) bool {
	return slices.ContainsFunc([]string{
		Behaviors + "app.", Custom, Buys, Behaviors + "Location", Messages + "inappmessage.", Messages + "banner.",
		Messages + "featureflag.", Messages + "pushnotification.Open",
	}, func(prefix string) bool { return strings.HasPrefix(event, prefix) })
}

// findPaths finds the shortest path from a root to each event type. No path has a
// conversion for the message before, as there may be no such message.
func (g *Graph) findPaths(glossary *schemas.Glossary, types map[string]int16, wanted []string) {
	before := make([]int16, len(g.Nodes))
	for i := range before {
		before[i] = -2
	}
	var queue []int16
	for _, root := range Roots() {
		before[g.Index[root]] = -1
		queue = append(queue, g.Index[root])
	}
	g.Paths = make([][]int16, len(types))
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		if typ := g.Nodes[at].Type; typ >= 0 && g.Paths[typ] == nil {
			g.Paths[typ] = backwards(before, at)
		}
		for _, group := range g.Nodes[at].Groups {
			for _, e := range group {
				if before[e.To] == -2 && e.Only != InWindowOfCampaign && e.Only != InWindowOfCanvas {
					before[e.To] = at
					queue = append(queue, e.To)
				}
			}
		}
	}
	for i, p := range g.Paths {
		name := glossary.Events[i].Name
		// A type that is not in the plot, such as one of a newer glossary, is a root.
		if p == nil && (glossary.Events[i].Retired == "" || slices.Contains(wanted, name)) {
			g.node(name, types)
			g.Paths[i] = []int16{g.Index[name]}
		}
	}
}

// backwards is the path from a root to a node.
func backwards(before []int16, at int16) []int16 {
	var nodes []int16
	for ; at >= 0; at = before[at] {
		nodes = append([]int16{at}, nodes...)
	}
	return nodes
}

// PathPlatforms are the platforms on which everything of a path can happen.
func (g *Graph) PathPlatforms(nodes []int16) Platforms {
	set := anyPlatform
	for _, n := range nodes {
		set &= g.Nodes[n].Allowed
	}
	return set
}

// Roots are the nodes that have no cause: those of scenario.KnownStarts, in their
// order, and the sends of each channel.
func Roots() []string {
	names := []string{
		Visit, Newcomer, AtCanvas, Behaviors + "liveactivity.PushToStartTokenChange", Profile, OptIn, AtPreference,
		"agentconsole.AgentExecuted", Uninstall, "users.UserOrphan", "users.UserDeleteRequest",
	}
	for _, channel := range scenario.SendingChannels() {
		names = append(names, AtSend+string(channel))
	}
	return names
}

// PlatformsOf says on which devices an event type can happen. The first shows
// what belongs to a phone, the second what belongs to a browser, where there
// is one.
func PlatformsOf(name string) []population.Platform {
	switch {
	case strings.Contains(name, "liveactivity"), strings.HasSuffix(name, "IosForeground"):
		return []population.Platform{population.IOS, population.IOS}
	case strings.Contains(name, "pushnotification"):
		return []population.Platform{population.IOS, population.Web, population.Android, population.Kindle}
	case strings.HasSuffix(name, "Uninstall"), strings.HasSuffix(name, "Location"),
		strings.HasSuffix(name, "InstallAttribution"), strings.Contains(name, "newsfeedcard"):
		return []population.Platform{population.IOS, population.Android}
	default:
		return population.Platforms()
	}
}

// channels are the channels of message events, by the part of their names
// behind Messages. All others are of Push.
var channels = map[string]population.Channel{
	"email":        population.Email,
	"landingpage":  population.Email,
	"inappmessage": population.InApp,
	"newsfeedcard": population.InApp,
	"survey":       population.InApp,
	"contentcard":  population.ContentCard,
	"banner":       population.Banner,
	"sms":          population.SMS,
	"rcs":          population.RCS,
	"whatsapp":     population.WhatsApp,
	"line":         population.LINE,
	"webhook":      population.Webhook,
	"featureflag":  population.FeatureFlag,
	"liveactivity": population.LiveActivity,
}

// ChannelOf says which channel the messages of an event type go out on.
func ChannelOf(name string) population.Channel {
	kind, ok := strings.CutPrefix(name, Messages)
	if !ok {
		return ""
	}
	kind, _, _ = strings.Cut(kind, ".")
	return cmp.Or(channels[kind], population.Push)
}

// Platforms is a set of platforms.
type Platforms uint8

// SetOf is the set of some platforms.
func SetOf(list ...population.Platform) (set Platforms) {
	for _, p := range list {
		set |= 1 << slices.Index(population.Platforms(), p)
	}
	return set
}

// anyPlatform is the set of all.
const anyPlatform Platforms = 63
