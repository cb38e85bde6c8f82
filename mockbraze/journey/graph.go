package journey

import (
	"fmt"
	"strings"

	"github.com/currentsbridge/currentsbridge/mockbraze/scenario"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// graph is a plot made ready for one scenario.
type graph struct {
	nodes []node
	index map[string]int16 // by name; read while the graph is made only
	paths [][]int16        // for each event type, the nodes that lead to it
}

// node is one thing that can happen.
type node struct {
	name    string
	typ     int16 // index of the event type, -1: nothing is sent
	allowed platformSet
	device  bool // happens on a device, which may be offline
	note    string
	act     action
	groups  [][]edge
}

// edge leads to what may follow.
type edge struct {
	to    int16
	share scenario.Share
	after scenario.Span
	only  condition
	ends  bool // the end of the session
}

// newGraph compiles the plot. It fails where the scenario lacks an outcome.
func newGraph(g *schemas.Glossary, s *scenario.Scenario) (*graph, error) {
	types := make(map[string]int16, len(g.Events))
	for i := range g.Events {
		types[g.Events[i].Name] = int16(i)
	}
	out := &graph{index: make(map[string]int16)}
	p := story()
	for _, from := range p.from {
		out.node(from, types)
		for _, group := range p.next[from] {
			for _, c := range group {
				out.node(c.to, types)
			}
		}
	}
	for _, root := range roots() {
		out.node(root, types)
	}
	for _, from := range p.from {
		n := &out.nodes[out.index[from]]
		for _, group := range p.next[from] {
			edges := make([]edge, 0, len(group))
			for _, c := range group {
				o, ok := s.Outcomes[c.outcome]
				if c.outcome == "" {
					o, ok = scenario.Outcome{Share: scenario.Whole}, true
				}
				if !ok {
					return nil, fmt.Errorf("the scenario has no outcome %s: make it with scenario.Parse", c.outcome)
				}
				edges = append(edges, edge{out.index[c.to], o.Share, o.After, c.only, c.to == visitEnd})
			}
			n.groups = append(n.groups, edges)
		}
	}
	out.findPaths(g, types)
	return out, nil
}

// node adds a node once.
func (g *graph) node(name string, types map[string]int16) {
	if _, known := g.index[name]; known {
		return
	}
	event, note, _ := strings.Cut(name, "#")
	n := node{name: name, typ: -1, allowed: anyPlatform, note: note, act: actions()[name]}
	if typ, ok := types[event]; ok {
		n.typ = typ
		n.allowed = bitsOf(platformsOf(event))
		n.device = onDevice(event)
		if n.act == nil && strings.HasPrefix(event, messages) {
			n.act = messageAction(event)
		}
	}
	if n.act == nil && strings.HasPrefix(name, atSend) {
		n.act = (*Stories).aboutToSend
	}
	if n.act == nil && strings.HasPrefix(name, atShow) {
		n.act = (*Stories).aboutToShow
	}
	g.index[name] = int16(len(g.nodes))
	g.nodes = append(g.nodes, n)
}

// onDevice says whether an event is one that a device reports, which it can
// only do once it is online.
func onDevice(event string) bool {
	switch {
	case strings.HasPrefix(event, behaviors+"app."), event == custom, event == buys, event == behaviors+"Location",
		strings.HasPrefix(event, messages+"inappmessage."), strings.HasPrefix(event, messages+"banner."),
		strings.HasPrefix(event, messages+"featureflag."), strings.HasPrefix(event, messages+"newsfeedcard."),
		event == messages+"pushnotification.Open":
		return true
	}
	return false
}

// findPaths finds the shortest path to each event type from what begins of
// itself. A conversion for the message before is no step of a path: whether
// there was a message is not known.
func (g *graph) findPaths(glossary *schemas.Glossary, types map[string]int16) {
	before := make([]int16, len(g.nodes))
	for i := range before {
		before[i] = -2
	}
	var queue []int16
	for _, root := range roots() {
		before[g.index[root]] = -1
		queue = append(queue, g.index[root])
	}
	g.paths = make([][]int16, len(types))
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		if typ := g.nodes[at].typ; typ >= 0 && g.paths[typ] == nil {
			g.paths[typ] = backwards(before, at)
		}
		for _, group := range g.nodes[at].groups {
			for _, e := range group {
				if before[e.to] == -2 && e.only != inWindowOfCampaign && e.only != inWindowOfCanvas {
					before[e.to] = at
					queue = append(queue, e.to)
				}
			}
		}
	}
	for i, p := range g.paths {
		if p == nil { // a type that no journey has, such as one of a newer glossary: it happens by itself
			g.node(glossary.Events[i].Name, types)
			g.paths[i] = []int16{g.index[glossary.Events[i].Name]}
		}
	}
}

// backwards goes back from a node to its root.
func backwards(before []int16, at int16) []int16 {
	var nodes []int16
	for ; at >= 0; at = before[at] {
		nodes = append([]int16{at}, nodes...)
	}
	return nodes
}

// pathPlatforms are the platforms on which everything of a path can happen.
func (g *graph) pathPlatforms(nodes []int16) platformSet {
	set := anyPlatform
	for _, n := range nodes {
		set &= g.nodes[n].allowed
	}
	return set
}

// roots are the nodes that begin of themselves, apart from campaigns: those of
// the scenario's starts, in their order, and the sends of each channel.
func roots() []string {
	names := []string{
		visit, newcomer, atCanvas, behaviors + "liveactivity.PushToStartTokenChange", profile, optIn, atPreference,
		"agentconsole.AgentExecuted", uninstall, "users.UserOrphan", "users.UserDeleteRequest",
	}
	for _, channel := range []string{"email", "push", "content_card", "sms", "rcs", "whatsapp", "line", "webhook"} {
		names = append(names, atSend+channel)
	}
	return names
}

// startNames are the scenario's starts, in the order of roots.
func startNames() []string {
	return []string{
		"sessions", "newcomers", "canvas_entries", "live_activities", "profile_updates", "opt_ins", "preferences",
		"agents", "uninstalls", "orphans", "deletions",
	}
}
