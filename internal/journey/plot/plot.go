// Package plot has what can follow from what in stories: a graph of event types,
// and of steps without an event, prepared for one scenario.
package plot

import (
	_ "embed"
	"strings"
)

//go:embed plot.txt
var text string

// from is a node and what may follow from it. The choices of one group exclude
// each other and are tried in their order.
type from struct {
	node   string
	groups [][]choice
}

// choice is one thing that may follow: the outcome of the scenario that says
// how often and when, and the node.
type choice struct {
	outcome, to string
	only        Condition
}

// always is the outcome of what follows always and at once.
const always = "always"

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
	StopOff    = Behaviors + "subscriptiongroup.StateChange#stop"
	GroupOn    = Behaviors + "subscriptiongroup.StateChange#on"
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

// story is everything that can follow from something.
func story() (all []from) {
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		what, follows := strings.CutPrefix(line, "\t")
		switch {
		case follows:
			all[len(all)-1].add(what)
		case !strings.HasPrefix(line, "#"):
			all = append(all, from{node: line})
		}
	}
	return all
}

// add reads a line of what may follow.
func (f *from) add(line string) {
	line, excluded := strings.CutPrefix(line, "else ")
	outcome, line, _ := strings.Cut(line, " → ")
	to, only, _ := strings.Cut(strings.TrimSuffix(line, ")"), " (")
	c, last := choice{outcome, to, Condition(only)}, len(f.groups)-1
	if excluded {
		f.groups[last] = append(f.groups[last], c)
		return
	}
	f.groups = append(f.groups, []choice{c})
}
