// Package plot has what can follow from what in stories: a graph of event types,
// and of steps without an event, prepared for one scenario.
package plot

import (
	"cmp"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
	"github.com/currentsbridge/currentsbridge/schemas"
)

//go:embed plot.txt
var text string

// Condition is what a choice requires.
type Condition string

const (
	ControlOfCampaign  Condition = "control of campaign" // enters the control group, for good
	ControlOfCanvas    Condition = "control of Canvas"
	InWindowOfCampaign Condition = "in window of campaign" // converts: the message is a campaign's and not too old
	InWindowOfCanvas   Condition = "in window of Canvas"
	AtMessageStep      Condition = "at message step"
	AtFirstMessage     Condition = "at first message"
	FirstOfCampaign    Condition = "first of campaign" // the first message of a campaign to the person
)

// Stays says whether a choice is made once for a person and a campaign or Canvas.
func (c Condition) Stays() bool { return c == ControlOfCampaign || c == ControlOfCanvas }

const (
	Messages   = "users.messages."
	Behaviors  = "users.behaviors."
	Visit      = Behaviors + "app.SessionStart"
	VisitEnd   = Behaviors + "app.SessionEnd"
	Newcomer   = Behaviors + "app.FirstSession"
	Custom     = Behaviors + "CustomEvent"
	Buys       = Behaviors + "Purchase"
	Profile    = "users.profile.Update"
	Enrolled   = "users.campaigns.EnrollInControl"
	Converted  = "users.campaigns.Conversion"
	GlobalOff  = Behaviors + "subscription.GlobalStateChange#link"
	GlobalOn   = Behaviors + "subscription.GlobalStateChange#on"
	OptIn      = Behaviors + "subscription.GlobalStateChange#opt-in"
	GroupState = Behaviors + "subscriptiongroup.StateChange"
	GroupOff   = GroupState + "#off"
	StopOff    = GroupState + "#stop"
	GroupOn    = GroupState + "#on"
	TokenOn    = Behaviors + "pushnotification.TokenStateChange#add"
	TokenNew   = Behaviors + "pushnotification.TokenStateChange#update"
	Uninstall  = Behaviors + "Uninstall"
	Advanced   = "users.canvasstep.Progression#advanced"
	Delayed    = "users.canvasstep.Progression#delayed"
	Exited     = "users.canvasstep.Progression#exited"
)

// Steps without an event.
const (
	AtSend       = "@send " // and the channel
	AtShow       = "@show " // and the channel: in an app
	AtCanvas     = "@canvas"
	AtCanvasSend = "@canvas send"
	AtAdvance    = "@advance"
	AtPreference = "@preference"
)

// Graph is a plot, prepared for one scenario.
type Graph struct {
	Nodes []Node
	Index map[string]int16 // by name
	Paths [][]int16        // for each event type of the glossary, the nodes that lead to it
	types map[string]int16 // index of each event type
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

// always is the outcome of what follows always and at once.
const always = "always"

// New compiles the plot. A retired type happens only where it is wanted.
func New(g *schemas.Glossary, s *scenario.Scenario, wanted []string) (*Graph, error) {
	out := &Graph{Index: make(map[string]int16), types: make(map[string]int16, len(g.Events))}
	for i := range g.Events {
		out.types[g.Events[i].Name] = int16(i)
	}
	var from int16
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		what, follows := strings.CutPrefix(line, "\t")
		if strings.HasPrefix(line, "#") {
			continue
		}
		if !follows {
			from = out.node(line)
			continue
		}
		what, excluded := strings.CutPrefix(what, "else ")
		outcome, what, _ := strings.Cut(what, " → ")
		to, only, _ := strings.Cut(strings.TrimSuffix(what, ")"), " (")
		o, ok := s.Outcomes[outcome]
		if outcome == always {
			o, ok = scenario.Outcome{Share: scenario.Whole}, true
		}
		if !ok {
			return nil, fmt.Errorf("the scenario has no outcome %s: make it with scenario.Parse", outcome)
		}
		edge := Edge{out.node(to), o.Share, o.After, Condition(only), to == VisitEnd}
		n := &out.Nodes[from]
		if last := len(n.Groups) - 1; excluded {
			n.Groups[last] = append(n.Groups[last], edge)
		} else {
			n.Groups = append(n.Groups, []Edge{edge})
		}
	}
	out.findPaths(g, wanted)
	return out, nil
}

func (g *Graph) node(name string) int16 {
	if known, ok := g.Index[name]; ok {
		return known
	}
	event, note, _ := strings.Cut(name, "#")
	n := Node{Name: name, Type: -1, Allowed: anyPlatform, Note: note}
	if typ, ok := g.types[event]; ok {
		n.Type, n.Allowed, n.Device = typ, SetOf(PlatformsOf(event)...), OnDevice(event)
	}
	g.Index[name] = int16(len(g.Nodes))
	g.Nodes = append(g.Nodes, n)
	return g.Index[name]
}

// OnDevice says whether a device reports an event, which it does once it is online.
func OnDevice(event string) bool {
	return slices.ContainsFunc([]string{
		Behaviors + "app.", Custom, Buys, Behaviors + "Location", Messages + "inappmessage.", Messages + "banner.",
		Messages + "featureflag.", Messages + "pushnotification.Open",
	}, func(prefix string) bool { return strings.HasPrefix(event, prefix) })
}

// findPaths finds the shortest path from a root to each event type. No path has a
// conversion for the message before, as there may be no such message.
func (g *Graph) findPaths(glossary *schemas.Glossary, wanted []string) {
	paths := make(map[int16][]int16) // to each node
	var queue []int16
	for _, root := range Roots() {
		at := g.node(root)
		paths[at] = []int16{at}
		queue = append(queue, at)
	}
	g.Paths = make([][]int16, len(glossary.Events))
	for ; len(queue) > 0; queue = queue[1:] {
		path := paths[queue[0]]
		if typ := g.Nodes[queue[0]].Type; typ >= 0 && g.Paths[typ] == nil {
			g.Paths[typ] = path
		}
		for _, e := range slices.Concat(g.Nodes[queue[0]].Groups...) {
			if paths[e.To] == nil && e.Only != InWindowOfCampaign && e.Only != InWindowOfCanvas {
				paths[e.To] = append(slices.Clip(path), e.To)
				queue = append(queue, e.To)
			}
		}
	}
	for i, e := range glossary.Events {
		// A type that is not in the plot, such as one of a newer glossary, is a root.
		if g.Paths[i] == nil && (e.Retired == "" || slices.Contains(wanted, e.Name)) {
			g.Paths[i] = []int16{g.node(e.Name)}
		}
	}
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

// PlatformsOf says on which devices an event type can happen: a phone first, a browser
// second, where there is one.
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

const anyPlatform Platforms = 63
