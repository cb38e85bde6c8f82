package journey

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
	const feed, flag = messages + "newsfeedcard.", messages + "featureflag."
	p.after(iam+"Impression", choice{"in_app_message.click", iam + "Click", always})
	p.after(banner+"Impression", choice{"banner.click", banner + "Click", always}, choice{"banner.dismiss", banner + "Dismiss", always})

	p.sending("content_card", "contentcard")
	p.after(card+"Send", choice{"content_card.impression", card + "Impression", always})
	p.after(card+"Impression", choice{"content_card.click", card + "Click", always}, choice{"content_card.dismiss", card + "Dismiss", always})
	p.after(card+"Click", choice{"content_card.act", visit, always})

	p.after(atShow+"feature_flag", choice{"", flag + "Impression", always})
	p.after(atNewsfeed, choice{"newsfeed.abort", feed + "Abort", always}, choice{"newsfeed.impression", feed + "Impression", always})
	p.after(feed+"Impression", choice{"newsfeed.click", feed + "Click", always})
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
		{"session.newsfeed", atNewsfeed, always},
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
	p.after(advanced, choice{"canvas.optimizer", "users.canvas.costep.Send", atFirstMessage})
	p.after(advanced, choice{"canvas.agent", agent, atMessageStep})
	p.after(split, choice{"canvas.split_conversion", "users.canvas.experimentstep.Conversion", always})
	p.after(agent, choice{"agent.tool", tool, always})
	// A Canvas chooses the channel itself; for the plot it is an e-mail.
	p.after(atCanvasSend, choice{"", atSend + "email", always})
	p.after(delayed)
	p.after(exited)
}

func (p *plot) subscriptions() {
	p.after(globalOff, choice{"subscription.back", globalOn, always})
	p.after(groupOff, choice{"subscription.back", groupOn, always})
	p.after(atPreference, choice{"", groupOff, always})
	p.after(optIn)
	p.after("users.UserDeleteRequest")
	p.after("users.UserOrphan")
}
