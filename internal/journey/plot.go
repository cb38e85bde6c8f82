package journey

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
	only        condition
}

// condition is a further demand on a choice.
type condition uint8

const (
	always            condition = iota
	controlOfCampaign           // enters the control group, for good
	controlOfCanvas
	inWindowOfCampaign // converts: the message is a campaign's and not too old
	inWindowOfCanvas
	atMessageStep
	atFirstMessage
	firstOfCampaign // the first message of a campaign to the person
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
	messages   = "users.messages."
	behaviors  = "users.behaviors."
	landing    = messages + "landingpage."
	survey     = messages + "survey.Response"
	visit      = behaviors + "app.SessionStart"
	visitEnd   = behaviors + "app.SessionEnd"
	newcomer   = behaviors + "app.FirstSession"
	custom     = behaviors + "CustomEvent"
	buys       = behaviors + "Purchase"
	profile    = "users.profile.Update"
	enrolled   = "users.campaigns.EnrollInControl"
	converted  = "users.campaigns.Conversion"
	globalOff  = behaviors + "subscription.GlobalStateChange#link"
	spamOff    = behaviors + "subscription.GlobalStateChange#spam"
	globalOn   = behaviors + "subscription.GlobalStateChange#on"
	optIn      = behaviors + "subscription.GlobalStateChange#opt-in"
	groupState = behaviors + "subscriptiongroup.StateChange"
	groupOff   = groupState + "#off"
	stopOff    = behaviors + "subscriptiongroup.StateChange#stop"
	groupOn    = behaviors + "subscriptiongroup.StateChange#on"
	tokenOn    = behaviors + "pushnotification.TokenStateChange#add"
	tokenOff   = behaviors + "pushnotification.TokenStateChange#remove"
	tokenNew   = behaviors + "pushnotification.TokenStateChange#update"
	uninstall  = behaviors + "Uninstall"
	entered    = "users.canvasstep.Progression#entered"
	advanced   = "users.canvasstep.Progression#advanced"
	delayed    = "users.canvasstep.Progression#delayed"
	exited     = "users.canvasstep.Progression#exited"
)

// Moments at which nothing is sent yet.
const (
	atSend       = "@send " // and the channel
	atShow       = "@show " // and the channel: in an app
	atCanvas     = "@canvas"
	atCanvasSend = "@canvas send"
	atAdvance    = "@advance"
	atPreference = "@preference"
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
	t := messages + family + "."
	choices := []choice{{channel + ".control", enrolled, controlOfCampaign}, {channel + ".abort", t + "Abort", always}}
	choices = append(choices, first...)
	switch channel {
	case "rcs", "content_card":
	default:
		choices = append(choices, choice{channel + ".retry", t + "Retry", always})
		p.after(t+"Retry", choice{channel + ".resend", t + "Send", always}, choice{channel + ".capped", t + "Abort#capped", always})
	}
	p.after(atSend+channel, append(choices, choice{channel + ".send", t + "Send", always})...)
}

func (p *plot) email() {
	const t = messages + "email."
	p.sending("email", "email")
	p.after(t+"Send", choice{"email.bounce", t + "Bounce", always}, choice{"email.soft_bounce", t + "SoftBounce", always},
		choice{"email.deferral", t + "Deferral", always}, choice{"email.delivery", t + "Delivery", always})
	p.after(t+"Deferral", choice{"email.late_delivery", t + "Delivery", always}, choice{"email.given_up", t + "SoftBounce", always})
	p.after(t+"Delivery", choice{"email.open", t + "Open", always})
	p.after(t+"Delivery", choice{"email.spam", t + "MarkAsSpam", always})
	p.after(t+"Open", choice{"email.click", t + "Click", always})
	p.after(t+"Open", choice{"email.reopen", t + "Open", always})
	p.after(t+"Open", choice{"email.unsubscribe", t + "Unsubscribe", always})
	p.after(t+"Click", choice{"email.visit", visit, always}, choice{"email.landing_page", landing + "Impression", always})
	p.after(t+"Send", choice{"email.receipt", "users.campaigns.UniqueReceipt", firstOfCampaign})
	p.after(t+"Unsubscribe", choice{"email.state", globalOff, always})
	p.after(t+"MarkAsSpam", choice{"email.state", spamOff, always})
	p.after(landing+"Impression", choice{"landing_page.click", landing + "Click", always}, choice{"landing_page.form", landing + "FormSubmission", always})
	p.after(landing+"FormSubmission", choice{"landing_page.survey", survey + "#first", always})
	p.after(survey+"#first", choice{"survey.next", survey + "#next", always})
	p.after(survey+"#next", choice{"survey.last", survey + "#last", always})
}

func (p *plot) push() {
	const t = messages + "pushnotification."
	p.sending("push", "pushnotification")
	p.after(t+"Send", choice{"push.bounce", t + "Bounce", always}, choice{"push.foreground", t + "IosForeground", always},
		choice{"push.open", t + "Open", always})
	p.after(t+"Open", choice{"push.visit", visit, always})
	p.after(t+"Bounce", choice{"push.token_lost", tokenOff, always})
	p.after(tokenOff, choice{"push.gone", uninstall, always}, choice{"uninstall.back", tokenOn, always})
	p.after(uninstall, choice{"uninstall.back", tokenOn, always})
}

// inbound is what people write back after a node.
func (p *plot) inbound(from, channel, family string) {
	t := messages + family + ".InboundReceive"
	p.after(from, choice{channel + ".stop", t + "#stop", always}, choice{channel + ".reply", t + "#reply", always})
	p.after(t+"#stop", choice{"inbound.state", stopOff, always})
}

func (p *plot) phones() {
	const sms, rcs, wa, line = messages + "sms.", messages + "rcs.", messages + "whatsapp.", messages + "line."
	p.sending("sms", "sms")
	p.after(sms+"Send", choice{"sms.carrier", sms + "CarrierSend", always})
	p.after(sms+"CarrierSend", choice{"sms.rejection", sms + "Rejection", always},
		choice{"sms.failure", sms + "DeliveryFailure", always}, choice{"sms.delivery", sms + "Delivery", always})
	p.after(sms+"Delivery", choice{"sms.click", sms + "ShortLinkClick", always})
	p.inbound(sms+"Delivery", "sms", "sms")
	p.after(sms+"ShortLinkClick", choice{"sms.visit", visit, always})

	p.sending("rcs", "rcs")
	p.after(rcs+"Send", choice{"rcs.rejection", rcs + "Rejection", always}, choice{"rcs.delivery", rcs + "Delivery", always})
	p.after(rcs+"Delivery", choice{"rcs.read", rcs + "Read", always})
	p.after(rcs+"Read", choice{"rcs.click", rcs + "Click", always})
	p.inbound(rcs+"Read", "rcs", "rcs")
	p.after(rcs+"Click", choice{"rcs.visit", visit, always})

	p.sending("whatsapp", "whatsapp")
	p.after(wa+"Send", choice{"whatsapp.failure", wa + "Failure", always}, choice{"whatsapp.delivery", wa + "Delivery", always})
	p.after(wa+"Delivery", choice{"whatsapp.read", wa + "Read", always})
	p.after(wa+"Read", choice{"whatsapp.click", wa + "Click", always})
	p.inbound(wa+"Read", "whatsapp", "whatsapp")
	p.after(wa+"Click", choice{"whatsapp.visit", visit, always})

	p.sending("line", "line")
	p.after(line+"Send", choice{"line.click", line + "Click", always})
	p.inbound(line+"Send", "line", "line")
	p.after(line+"Click", choice{"line.visit", visit, always})
}

func (p *plot) webhooks() {
	const t = messages + "webhook."
	p.sending("webhook", "webhook", choice{"webhook.failure", t + "Failure", always})
	p.after(t+"Failure", choice{"webhook.try_again", t + "Send", always})
}

// inApps is what is shown in an app, and Content Cards.
func (p *plot) inApps() {
	for _, pair := range [][2]string{{"in_app_message", "inappmessage"}, {"banner", "banner"}} {
		channel, family := pair[0], pair[1]
		t := messages + family + "."
		p.after(atShow+channel, choice{channel + ".control", enrolled, controlOfCampaign},
			choice{channel + ".abort", t + "Abort", always}, choice{channel + ".impression", t + "Impression", always})
		p.after(t+"Click", choice{channel + ".act", custom, always})
	}
	const iam, banner, card = messages + "inappmessage.", messages + "banner.", messages + "contentcard."
	const flag = messages + "featureflag."
	p.after(iam+"Impression", choice{"in_app_message.click", iam + "Click", always}, choice{"in_app_message.survey", survey + "#first", always})
	p.after(banner+"Impression", choice{"banner.click", banner + "Click", always}, choice{"banner.dismiss", banner + "Dismiss", always})

	p.sending("content_card", "contentcard")
	p.after(card+"Send", choice{"content_card.impression", card + "Impression", always})
	p.after(card+"Impression", choice{"content_card.click", card + "Click", always}, choice{"content_card.dismiss", card + "Dismiss", always})
	p.after(card+"Click", choice{"content_card.act", visit, always})

	p.after(atShow+"feature_flag", choice{"", flag + "Impression", always})
}

func (p *plot) liveActivities() {
	const send, outcome = messages + "liveactivity.Send", messages + "liveactivity.Outcome"
	const start, update = behaviors + "liveactivity.PushToStartTokenChange", behaviors + "liveactivity.UpdateTokenChange"
	goOn := []choice{{"live_activity.update", send + "#update", always}, {"live_activity.end", send + "#end", always}}
	p.after(start, choice{"live_activity.start", send + "#start", always})
	for _, kind := range []string{"#start", "#update", "#end"} {
		p.after(send+kind, choice{"live_activity.outcome", outcome + kind, always})
	}
	p.after(outcome+"#start", choice{"live_activity.token", update, always})
	p.after(update, goOn...)
	p.after(outcome+"#update", goOn...)
}

func (p *plot) sessions() {
	p.after(newcomer, choice{"newcomer.session", visit, always})
	p.after(newcomer, choice{"newcomer.attribution", behaviors + "InstallAttribution", always})
	p.after(newcomer, choice{"newcomer.token", tokenOn, always})
	p.after(newcomer, choice{"newcomer.profile", profile, always})
	for range 3 {
		p.after(visit, choice{"session.event", custom, always})
	}
	for _, c := range []choice{
		{"session.end", visitEnd, always},
		{"session.purchase", buys, always},
		{"session.location", behaviors + "Location", always},
		{"session.profile", profile, always},
		{"session.token", tokenNew, always},
		{"session.in_app_message", atShow + "in_app_message", always},
		{"session.banner", atShow + "banner", always},
		{"session.feature_flag", atShow + "feature_flag", always},
	} {
		p.after(visit, c)
	}
	p.conversions(visit, "session.conversion")
	p.after(custom, choice{"event.purchase", buys, always})
	p.conversions(buys, "purchase.conversion")
	p.after(enrolled, choice{"control.conversion", converted, always})
}

// conversions lets a node convert for the message that led to it.
func (p *plot) conversions(from, outcome string) {
	p.after(from, choice{outcome, converted, inWindowOfCampaign}, choice{outcome, "users.canvas.Conversion", inWindowOfCanvas})
}

func (p *plot) canvases() {
	const in, control = "users.canvas.Entry", "users.canvas.Entry#control"
	const split = "users.canvas.experimentstep.SplitEntry"
	const agent, tool = "agentconsole.AgentExecuted", "agentconsole.ToolInvocation"
	p.after(atCanvas, choice{"canvas.control", control, controlOfCanvas}, choice{"canvas.entry", in, always})
	p.after(control, choice{"canvas.control_conversion", "users.canvas.Conversion", always})
	p.after(in, choice{"canvas.first_step", entered, always})
	matched, performed := "users.canvas.exit.MatchedAudience", "users.canvas.exit.PerformedEvent"
	for _, from := range []string{entered, advanced, delayed} {
		p.after(from, choice{"canvas.matched", matched, always},
			choice{"canvas.performed", performed, always}, choice{"canvas.next", atAdvance, always})
	}
	p.after(matched, choice{"canvas.exit", exited, always})
	p.after(performed, choice{"canvas.exit", exited, always})
	p.after(atAdvance, choice{"", advanced, always})
	p.after(advanced, choice{"canvas.message", atCanvasSend, atMessageStep})
	p.after(advanced, choice{"canvas.split", split, atFirstMessage})
	const optimizer, destination = "users.canvas.costep.", "users.canvas.sendtodestination."
	p.after(advanced, choice{"canvas.optimizer", optimizer + "Send", atFirstMessage})
	p.after(optimizer+"Send", choice{"optimizer.store", "contentoptimizer.ComponentStore", always})
	p.after(optimizer+"Send", choice{"optimizer.conversion", optimizer + "Conversion", always})
	p.after(advanced, choice{"canvas.destination", destination + "Sent", atMessageStep}, choice{"canvas.no_destination", destination + "NotSent", atMessageStep})
	p.after(advanced, choice{"canvas.agent", agent, atMessageStep})
	p.after(split, choice{"canvas.split_conversion", "users.canvas.experimentstep.Conversion", always})
	p.after(agent, choice{"agent.tool", tool, always})
	// A Canvas chooses the channel itself; for the plot it is an e-mail.
	p.after(atCanvasSend, choice{"", atSend + "email", always})
	p.after(delayed)
	p.after(exited)
}

func (p *plot) subscriptions() {
	for _, off := range []string{globalOff, spamOff} {
		p.after(off, choice{"subscription.back", globalOn, always})
	}
	for _, off := range []string{groupOff, stopOff} {
		p.after(off, choice{"subscription.back", groupOn, always})
	}
	p.after(atPreference, choice{"", groupOff, always})
	p.after(optIn)
	p.after("users.UserDeleteRequest")
	p.after("users.UserOrphan")
}
