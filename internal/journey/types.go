package journey

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// eventType is an event type made ready for writing.
type eventType struct {
	name       string
	quoted     string // the name as JSON
	key        uint64
	offset     uint64  // where in its ten this type's full moments are
	user       []field // in the alphabet's order
	properties []field

	hasCampaign, hasCanvas     bool
	needsCampaign, needsCanvas bool               // has required fields of one
	aborts                     []string           // the values of abort_type
	unique                     bool               // says whether it is the first of its kind for the person and the message
	channel                    population.Channel // empty where the type has no channel of its own
	channels                   []population.Channel
	platforms                  []population.Platform // at least two
}

// field is one field made ready for writing.
type field struct {
	label    string // "name":
	key      uint64
	required bool
	links    bool // in a story it is always there
	alone    bool // where it fits, it is always there, as the others of its kind are not
	// fits says whether the field goes with a moment; nil: always.
	fits func(m *moment) bool
	// value appends the field's JSON value.
	value valueFunc
}

// valueFunc appends a JSON value for a moment; d is the field's own Draw.
type valueFunc func(dst []byte, m *moment, d population.Draw) []byte

// Select returns the names of the glossary's event types that match at least
// one of the patterns (as in path.Match; a star goes over dots too), in the
// glossary's order. No patterns select every type. Retired types are selected
// with retired, or by their whole names. A pattern that is malformed or matches
// nothing is an error that names it.
func Select(g *schemas.Glossary, patterns []string, retired bool) ([]string, error) {
	chosen := make([]bool, len(g.Events))
	for _, pattern := range patterns {
		found := false
		for i := range g.Events {
			e := &g.Events[i]
			ok, err := path.Match(pattern, e.Name)
			if err != nil {
				return nil, fmt.Errorf("event type pattern %q: %w", pattern, err)
			}
			if ok && (retired || e.Retired == "" || pattern == e.Name) {
				chosen[i], found = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("no event type of the glossary matches %q", pattern)
		}
	}
	var names []string
	for i := range g.Events {
		if chosen[i] || len(patterns) == 0 && (retired || g.Events[i].Retired == "") {
			names = append(names, g.Events[i].Name)
		}
	}
	return names, nil
}

// compile makes an event type ready.
func compile(t *schemas.EventType, values map[string]valueFunc, fits map[string]func(*moment) bool) eventType {
	key := population.Key(t.Name)
	e := eventType{
		name:      t.Name,
		quoted:    string(appendString(nil, t.Name)),
		key:       key,
		offset:    key % fullEvery,
		channel:   channelOf(t.Name),
		channels:  []population.Channel{population.Email, population.Email, population.SMS, population.WhatsApp, population.Push},
		platforms: platformsOf(t.Name),
	}
	if strings.HasSuffix(t.Name, ".Abort") {
		e.aborts = abortTypes(t.Name, e.channel)
	}
	if strings.Contains(t.Name, "subscriptiongroup") {
		e.channels = groupChannels()
	}
	fields := func(list []schemas.Field) (all []field) {
		for i := range list {
			f := &list[i]
			all = append(all, compileField(t.Name, f, values, fits))
			ofCampaign, ofCanvas := strings.HasPrefix(f.Name, "campaign_"), ofCanvas(f.Name)
			e.hasCampaign = e.hasCampaign || ofCampaign
			e.hasCanvas = e.hasCanvas || ofCanvas
			e.needsCampaign = e.needsCampaign || ofCampaign && f.Required
			e.needsCanvas = e.needsCanvas || ofCanvas && f.Required
			e.unique = e.unique || f.Name == "is_unique"
		}
		slices.SortFunc(all, func(a, b field) int { return cmp.Compare(a.label, b.label) })
		return all
	}
	e.user, e.properties = fields(t.User), fields(t.Properties)
	return e
}

// ofCanvas says whether a field is about a Canvas.
func ofCanvas(name string) bool {
	return strings.HasPrefix(name, "canvas_") || slices.Contains(canvasFields(), name)
}

func canvasFields() []string {
	return []string{"experiment_split_id", "experiment_split_name", "experiment_step_id", "next_step_id", "content_optimizer_step_id"}
}

// compileField finds how a field's values are made: by type.name or name and
// type where a name means two things, by name, or from its format alone.
func compileField(event string, f *schemas.Field, values map[string]valueFunc, fits map[string]func(*moment) bool) field {
	out := field{
		label:    string(appendString(nil, f.Name)) + ":",
		key:      population.Key(f.Name),
		required: f.Required,
		links:    links(f.Name),
		alone:    strings.HasPrefix(f.Name, "answer_"),
		fits:     fits[f.Name],
	}
	last := event[strings.LastIndexByte(event, '.')+1:]
	for _, name := range []string{last + "/" + f.Name, event + "/" + f.Name} {
		if special, ok := fits[name]; ok {
			out.fits = special
		}
	}
	for _, name := range []string{event + "/" + f.Name, f.Name + ":" + f.Type, f.Name} {
		if value, ok := values[name]; ok {
			out.value = value
			return out
		}
	}
	out.value = fallback(f)
	return out
}

// groupChannels are the channels with subscription groups.
func groupChannels() []population.Channel {
	return []population.Channel{population.Email, population.SMS, population.WhatsApp, population.RCS, population.LINE}
}

// channelOf says which channel the messages of an event type go out on.
func channelOf(name string) population.Channel {
	kind, ok := strings.CutPrefix(name, "users.messages.")
	if !ok {
		return ""
	}
	kind, _, _ = strings.Cut(kind, ".")
	switch kind {
	case "email", "landingpage":
		return population.Email
	case "pushnotification":
		return population.Push
	case "inappmessage", "newsfeedcard", "survey":
		return population.InApp
	case "contentcard":
		return population.ContentCard
	case "banner":
		return population.Banner
	case "sms":
		return population.SMS
	case "rcs":
		return population.RCS
	case "whatsapp":
		return population.WhatsApp
	case "line":
		return population.LINE
	case "webhook":
		return population.Webhook
	case "featureflag":
		return population.FeatureFlag
	case "liveactivity":
		return population.LiveActivity
	default:
		return population.Push
	}
}

// platformsOf says on which devices an event type can happen. The first shows
// what belongs to a phone, the second what belongs to a browser, where there
// is one.
func platformsOf(name string) []population.Platform {
	switch {
	case strings.Contains(name, "liveactivity"), strings.HasSuffix(name, "IosForeground"):
		return []population.Platform{population.IOS, population.IOS}
	case strings.Contains(name, "pushnotification"):
		return []population.Platform{population.IOS, population.Web, population.Android, population.Kindle}
	case strings.HasSuffix(name, "Uninstall"), strings.HasSuffix(name, "Location"),
		strings.HasSuffix(name, "InstallAttribution"), strings.Contains(name, "newsfeedcard"):
		return []population.Platform{population.IOS, population.Android}
	default:
		return []population.Platform{
			population.IOS, population.Web, population.Android,
			population.Kindle, population.TVOS, population.Roku,
		}
	}
}

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

// newGraph compiles the plot. A retired type happens only where it is wanted. It
// fails where the scenario lacks an outcome.
func newGraph(g *schemas.Glossary, s *scenario.Scenario, wanted []string) (*graph, error) {
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
	out.findPaths(g, types, wanted)
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
		strings.HasPrefix(event, messages+"featureflag."),
		event == messages+"pushnotification.Open":
		return true
	}
	return false
}

// findPaths finds the shortest path to each event type from what begins of
// itself. A conversion for the message before is no step of a path: whether
// there was a message is not known.
func (g *graph) findPaths(glossary *schemas.Glossary, types map[string]int16, wanted []string) {
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
		name := glossary.Events[i].Name
		// A type that no journey has, such as one of a newer glossary, happens by itself.
		if p == nil && (glossary.Events[i].Retired == "" || slices.Contains(wanted, name)) {
			g.node(name, types)
			g.paths[i] = []int16{g.index[name]}
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
