package journey

// plot says what follows from what. A node is an event type, or a moment at
// which nothing is sent yet ("@…"). One type may be several nodes, told apart
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
	messages  = "users.messages."
	behaviors = "users.behaviors."
	visit     = behaviors + "app.SessionStart"
	visitEnd  = behaviors + "app.SessionEnd"
	newcomer  = behaviors + "app.FirstSession"
	custom    = behaviors + "CustomEvent"
	buys      = behaviors + "Purchase"
	profile   = "users.profile.Update"
	enrolled  = "users.campaigns.EnrollInControl"
	converted = "users.campaigns.Conversion"
	globalOff = behaviors + "subscription.GlobalStateChange#off"
	globalOn  = behaviors + "subscription.GlobalStateChange#on"
	optIn     = behaviors + "subscription.GlobalStateChange#opt-in"
	groupOff  = behaviors + "subscriptiongroup.StateChange#off"
	groupOn   = behaviors + "subscriptiongroup.StateChange#on"
	tokenOn   = behaviors + "pushnotification.TokenStateChange#add"
	tokenOff  = behaviors + "pushnotification.TokenStateChange#remove"
	tokenNew  = behaviors + "pushnotification.TokenStateChange#update"
	uninstall = behaviors + "Uninstall"
	entered   = "users.canvasstep.Progression#entered"
	advanced  = "users.canvasstep.Progression#advanced"
	delayed   = "users.canvasstep.Progression#delayed"
	exited    = "users.canvasstep.Progression#exited"
)

// Moments at which nothing is sent yet.
const (
	atSend       = "@send " // and the channel
	atShow       = "@show " // and the channel: in an app
	atCanvas     = "@canvas"
	atCanvasSend = "@canvas send"
	atAdvance    = "@advance"
	atNewsfeed   = "@newsfeed"
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
		p.after(t+"Retry", choice{channel + ".resend", t + "Send", always})
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
	p.after(t+"Click", choice{"email.visit", visit, always})
	p.after(t+"Unsubscribe", choice{"email.state", globalOff, always})
	p.after(t+"MarkAsSpam", choice{"email.state", globalOff, always})
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
	p.after(t+"#stop", choice{"inbound.state", groupOff, always})
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
	p.after(t+"Failure", choice{"webhook.try_again", t + "Retry", always})
}
