// Package plot says what can follow from what in the stories of package journey:
// a graph of event types, and of moments at which nothing is sent yet, made ready
// for one scenario.
package plot

// plot says what follows from what. A node is an event type, or a moment at
// which nothing is sent yet ("@…"). One type may be several nodes, which differ
// by a note after #.
type plot struct {
	from []string // in the order of their first mention
	next map[string][][]choice
}

// choice is one thing that may follow: the outcome of the scenario that says
// how often and when, and the node.
type choice struct {
	outcome, to string // without an outcome: always and at once
	only        Condition
}

// Condition is a further demand on a choice.
type Condition uint8

const (
	Always            Condition = iota
	ControlOfCampaign           // enters the control group, for good
	ControlOfCanvas
	InWindowOfCampaign // converts: the message is a campaign's and not too old
	InWindowOfCanvas
	AtMessageStep
	AtFirstMessage
	FirstOfCampaign // the first message of a campaign to the person
)

// after says what follows from a node. The choices of one call exclude each
// other and are tried in their order.
func (p *plot) after(from string, choices ...choice) {
	if _, known := p.next[from]; !known {
		p.from = append(p.from, from)
	}
	p.next[from] = append(p.next[from], choices)
}

const (
	Messages   = "users.messages."
	Behaviors  = "users.behaviors."
	Landing    = Messages + "landingpage."
	Survey     = Messages + "survey.Response"
	Visit      = Behaviors + "app.SessionStart"
	VisitEnd   = Behaviors + "app.SessionEnd"
	Newcomer   = Behaviors + "app.FirstSession"
	Custom     = Behaviors + "CustomEvent"
	Buys       = Behaviors + "Purchase"
	Profile    = "users.profile.Update"
	Enrolled   = "users.campaigns.EnrollInControl"
	Converted  = "users.campaigns.Conversion"
	GlobalOff  = Behaviors + "subscription.GlobalStateChange#link"
	SpamOff    = Behaviors + "subscription.GlobalStateChange#spam"
	GlobalOn   = Behaviors + "subscription.GlobalStateChange#on"
	OptIn      = Behaviors + "subscription.GlobalStateChange#opt-in"
	GroupState = Behaviors + "subscriptiongroup.StateChange"
	GroupOff   = GroupState + "#off"
	StopOff    = Behaviors + "subscriptiongroup.StateChange#stop"
	GroupOn    = Behaviors + "subscriptiongroup.StateChange#on"
	TokenOn    = Behaviors + "pushnotification.TokenStateChange#add"
	TokenOff   = Behaviors + "pushnotification.TokenStateChange#remove"
	TokenNew   = Behaviors + "pushnotification.TokenStateChange#update"
	Uninstall  = Behaviors + "Uninstall"
	Entered    = "users.canvasstep.Progression#entered"
	Advanced   = "users.canvasstep.Progression#advanced"
	Delayed    = "users.canvasstep.Progression#delayed"
	Exited     = "users.canvasstep.Progression#exited"
)

// Moments at which nothing is sent yet.
const (
	AtSend       = "@send " // and the channel
	AtShow       = "@show " // and the channel: in an app
	AtCanvas     = "@canvas"
	AtCanvasSend = "@canvas send"
	AtAdvance    = "@advance"
	AtPreference = "@preference"
)

// story is everything that can follow from something.
func story() *plot {
	p := &plot{next: make(map[string][][]choice)}
	p.email()
	p.push()
	p.phones()
	p.inApps()
	p.webhooks()
	p.liveActivities()
	p.sessions()
	p.canvases()
	p.subscriptions()
	return p
}

// sending is what comes of a message that is about to go out on a channel;
// family is what the channel's event types begin with.
func (p *plot) sending(channel, family string, first ...choice) {
	t := Messages + family + "."
	choices := []choice{{channel + ".control", Enrolled, ControlOfCampaign}, {channel + ".abort", t + "Abort", Always}}
	choices = append(choices, first...)
	switch channel {
	case "rcs", "content_card":
	default:
		choices = append(choices, choice{channel + ".retry", t + "Retry", Always})
		p.after(t+"Retry", choice{channel + ".resend", t + "Send", Always}, choice{channel + ".capped", t + "Abort#capped", Always})
	}
	p.after(AtSend+channel, append(choices, choice{channel + ".send", t + "Send", Always})...)
}

func (p *plot) email() {
	const t = Messages + "email."
	p.sending("email", "email")
	p.after(t+"Send", choice{"email.bounce", t + "Bounce", Always}, choice{"email.soft_bounce", t + "SoftBounce", Always},
		choice{"email.deferral", t + "Deferral", Always}, choice{"email.delivery", t + "Delivery", Always})
	p.after(t+"Deferral", choice{"email.late_delivery", t + "Delivery", Always}, choice{"email.given_up", t + "SoftBounce", Always})
	p.after(t+"Delivery", choice{"email.open", t + "Open", Always})
	p.after(t+"Delivery", choice{"email.spam", t + "MarkAsSpam", Always})
	p.after(t+"Open", choice{"email.click", t + "Click", Always})
	p.after(t+"Open", choice{"email.reopen", t + "Open", Always})
	p.after(t+"Open", choice{"email.unsubscribe", t + "Unsubscribe", Always})
	p.after(t+"Click", choice{"email.visit", Visit, Always}, choice{"email.landing_page", Landing + "Impression", Always})
	p.after(t+"Send", choice{"email.receipt", "users.campaigns.UniqueReceipt", FirstOfCampaign})
	p.after(t+"Unsubscribe", choice{"email.state", GlobalOff, Always})
	p.after(t+"MarkAsSpam", choice{"email.state", SpamOff, Always})
	p.after(Landing+"Impression", choice{"landing_page.click", Landing + "Click", Always}, choice{"landing_page.form", Landing + "FormSubmission", Always})
	p.after(Landing+"FormSubmission", choice{"landing_page.survey", Survey + "#first", Always})
	p.after(Survey+"#first", choice{"survey.next", Survey + "#next", Always})
	p.after(Survey+"#next", choice{"survey.last", Survey + "#last", Always})
}

func (p *plot) push() {
	const t = Messages + "pushnotification."
	p.sending("push", "pushnotification")
	p.after(t+"Send", choice{"push.bounce", t + "Bounce", Always}, choice{"push.foreground", t + "IosForeground", Always},
		choice{"push.open", t + "Open", Always})
	p.after(t+"Open", choice{"push.visit", Visit, Always})
	p.after(t+"Bounce", choice{"push.token_lost", TokenOff, Always})
	p.after(TokenOff, choice{"push.gone", Uninstall, Always}, choice{"uninstall.back", TokenOn, Always})
	p.after(Uninstall, choice{"uninstall.back", TokenOn, Always})
}

// inbound is what people write back after a node.
func (p *plot) inbound(from, channel, family string) {
	t := Messages + family + ".InboundReceive"
	p.after(from, choice{channel + ".stop", t + "#stop", Always}, choice{channel + ".reply", t + "#reply", Always})
	p.after(t+"#stop", choice{"inbound.state", StopOff, Always})
}

func (p *plot) phones() {
	const sms, rcs, wa, line = Messages + "sms.", Messages + "rcs.", Messages + "whatsapp.", Messages + "line."
	p.sending("sms", "sms")
	p.after(sms+"Send", choice{"sms.carrier", sms + "CarrierSend", Always})
	p.after(sms+"CarrierSend", choice{"sms.rejection", sms + "Rejection", Always},
		choice{"sms.failure", sms + "DeliveryFailure", Always}, choice{"sms.delivery", sms + "Delivery", Always})
	p.after(sms+"Delivery", choice{"sms.click", sms + "ShortLinkClick", Always})
	p.inbound(sms+"Delivery", "sms", "sms")
	p.after(sms+"ShortLinkClick", choice{"sms.visit", Visit, Always})

	p.sending("rcs", "rcs")
	p.after(rcs+"Send", choice{"rcs.rejection", rcs + "Rejection", Always}, choice{"rcs.delivery", rcs + "Delivery", Always})
	p.after(rcs+"Delivery", choice{"rcs.read", rcs + "Read", Always})
	p.after(rcs+"Read", choice{"rcs.click", rcs + "Click", Always})
	p.inbound(rcs+"Read", "rcs", "rcs")
	p.after(rcs+"Click", choice{"rcs.visit", Visit, Always})

	p.sending("whatsapp", "whatsapp")
	p.after(wa+"Send", choice{"whatsapp.failure", wa + "Failure", Always}, choice{"whatsapp.delivery", wa + "Delivery", Always})
	p.after(wa+"Delivery", choice{"whatsapp.read", wa + "Read", Always})
	p.after(wa+"Read", choice{"whatsapp.click", wa + "Click", Always})
	p.inbound(wa+"Read", "whatsapp", "whatsapp")
	p.after(wa+"Click", choice{"whatsapp.visit", Visit, Always})

	p.sending("line", "line")
	p.after(line+"Send", choice{"line.click", line + "Click", Always})
	p.inbound(line+"Send", "line", "line")
	p.after(line+"Click", choice{"line.visit", Visit, Always})
}

func (p *plot) webhooks() {
	const t = Messages + "webhook."
	p.sending("webhook", "webhook", choice{"webhook.failure", t + "Failure", Always})
	p.after(t+"Failure", choice{"webhook.try_again", t + "Send", Always})
}

// inApps is what is shown in an app, and Content Cards.
func (p *plot) inApps() {
	for _, pair := range [][2]string{{"in_app_message", "inappmessage"}, {"banner", "banner"}} {
		channel, family := pair[0], pair[1]
		t := Messages + family + "."
		p.after(AtShow+channel, choice{channel + ".control", Enrolled, ControlOfCampaign},
			choice{channel + ".abort", t + "Abort", Always}, choice{channel + ".impression", t + "Impression", Always})
		p.after(t+"Click", choice{channel + ".act", Custom, Always})
	}
	const iam, banner, card = Messages + "inappmessage.", Messages + "banner.", Messages + "contentcard."
	const flag = Messages + "featureflag."
	p.after(iam+"Impression", choice{"in_app_message.click", iam + "Click", Always}, choice{"in_app_message.survey", Survey + "#first", Always})
	p.after(banner+"Impression", choice{"banner.click", banner + "Click", Always}, choice{"banner.dismiss", banner + "Dismiss", Always})

	p.sending("content_card", "contentcard")
	p.after(card+"Send", choice{"content_card.impression", card + "Impression", Always})
	p.after(card+"Impression", choice{"content_card.click", card + "Click", Always}, choice{"content_card.dismiss", card + "Dismiss", Always})
	p.after(card+"Click", choice{"content_card.act", Visit, Always})

	p.after(AtShow+"feature_flag", choice{"", flag + "Impression", Always})
}

func (p *plot) liveActivities() {
	const send, outcome = Messages + "liveactivity.Send", Messages + "liveactivity.Outcome"
	const start, update = Behaviors + "liveactivity.PushToStartTokenChange", Behaviors + "liveactivity.UpdateTokenChange"
	goOn := []choice{{"live_activity.update", send + "#update", Always}, {"live_activity.end", send + "#end", Always}}
	p.after(start, choice{"live_activity.start", send + "#start", Always})
	for _, kind := range []string{"#start", "#update", "#end"} {
		p.after(send+kind, choice{"live_activity.outcome", outcome + kind, Always})
	}
	p.after(outcome+"#start", choice{"live_activity.token", update, Always})
	p.after(update, goOn...)
	p.after(outcome+"#update", goOn...)
}

func (p *plot) sessions() {
	p.after(Newcomer, choice{"newcomer.session", Visit, Always})
	p.after(Newcomer, choice{"newcomer.attribution", Behaviors + "InstallAttribution", Always})
	p.after(Newcomer, choice{"newcomer.token", TokenOn, Always})
	p.after(Newcomer, choice{"newcomer.profile", Profile, Always})
	for range 3 {
		p.after(Visit, choice{"session.event", Custom, Always})
	}
	for _, c := range []choice{
		{"session.end", VisitEnd, Always},
		{"session.purchase", Buys, Always},
		{"session.location", Behaviors + "Location", Always},
		{"session.profile", Profile, Always},
		{"session.token", TokenNew, Always},
		{"session.in_app_message", AtShow + "in_app_message", Always},
		{"session.banner", AtShow + "banner", Always},
		{"session.feature_flag", AtShow + "feature_flag", Always},
	} {
		p.after(Visit, c)
	}
	p.conversions(Visit, "session.conversion")
	p.after(Custom, choice{"event.purchase", Buys, Always})
	p.conversions(Buys, "purchase.conversion")
	p.after(Enrolled, choice{"control.conversion", Converted, Always})
}

// conversions lets a node convert for the message that led to it.
func (p *plot) conversions(from, outcome string) {
	p.after(from, choice{outcome, Converted, InWindowOfCampaign}, choice{outcome, "users.canvas.Conversion", InWindowOfCanvas})
}

func (p *plot) canvases() {
	const in, control = "users.canvas.Entry", "users.canvas.Entry#control"
	const split = "users.canvas.experimentstep.SplitEntry"
	const agent, tool = "agentconsole.AgentExecuted", "agentconsole.ToolInvocation"
	p.after(AtCanvas, choice{"canvas.control", control, ControlOfCanvas}, choice{"canvas.entry", in, Always})
	p.after(control, choice{"canvas.control_conversion", "users.canvas.Conversion", Always})
	p.after(in, choice{"canvas.first_step", Entered, Always})
	matched, performed := "users.canvas.exit.MatchedAudience", "users.canvas.exit.PerformedEvent"
	for _, from := range []string{Entered, Advanced, Delayed} {
		p.after(from, choice{"canvas.matched", matched, Always},
			choice{"canvas.performed", performed, Always}, choice{"canvas.next", AtAdvance, Always})
	}
	p.after(matched, choice{"canvas.exit", Exited, Always})
	p.after(performed, choice{"canvas.exit", Exited, Always})
	p.after(AtAdvance, choice{"", Advanced, Always})
	p.after(Advanced, choice{"canvas.message", AtCanvasSend, AtMessageStep})
	p.after(Advanced, choice{"canvas.split", split, AtFirstMessage})
	const optimizer, destination = "users.canvas.costep.", "users.canvas.sendtodestination."
	p.after(Advanced, choice{"canvas.optimizer", optimizer + "Send", AtFirstMessage})
	p.after(optimizer+"Send", choice{"optimizer.store", "contentoptimizer.ComponentStore", Always})
	p.after(optimizer+"Send", choice{"optimizer.conversion", optimizer + "Conversion", Always})
	p.after(Advanced, choice{"canvas.destination", destination + "Sent", AtMessageStep}, choice{"canvas.no_destination", destination + "NotSent", AtMessageStep})
	p.after(Advanced, choice{"canvas.agent", agent, AtMessageStep})
	p.after(split, choice{"canvas.split_conversion", "users.canvas.experimentstep.Conversion", Always})
	p.after(agent, choice{"agent.tool", tool, Always})
	// A Canvas chooses the channel itself; for the plot it is an e-mail.
	p.after(AtCanvasSend, choice{"", AtSend + "email", Always})
	p.after(Delayed)
	p.after(Exited)
}

func (p *plot) subscriptions() {
	for _, off := range []string{GlobalOff, SpamOff} {
		p.after(off, choice{"subscription.back", GlobalOn, Always})
	}
	for _, off := range []string{GroupOff, StopOff} {
		p.after(off, choice{"subscription.back", GroupOn, Always})
	}
	p.after(AtPreference, choice{"", GroupOff, Always})
	p.after(OptIn)
	p.after("users.UserDeleteRequest")
	p.after("users.UserOrphan")
}

// Stays says whether a choice is made once for a person and a campaign or Canvas.
func (c Condition) Stays() bool { return c == ControlOfCampaign || c == ControlOfCanvas }
