// Package plot has what can follow from what in stories: a graph of event types,
// and of steps without an event, prepared for one scenario.
package plot

import _ "embed"

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
