package scenario

// Outcome is how likely something follows from something else, and how long
// after it.
type Outcome struct {
	// Share is of those to whom it could happen: those to whom the thing before
	// it happened, and none of the outcomes listed before it that exclude it.
	Share Share
	After Span
}

// Known is an outcome that the journeys know, as the scenario steady has it.
type Known struct {
	// Name is the group and the name, as in email.open.
	Name string
	// From and To say in words what leads to what.
	From, To string
	Outcome
	// Source says where the share comes from. Each is an assumption, as all times
	// are; some say that they are of the order of published averages.
	Source string
}

const (
	sec  = int64(1)
	mins = 60 * sec
	hour = 60 * mins
	day  = 24 * hour

	assumed = "assumption"
	average = "assumption, of the order of published industry averages; not checked against a source"
)

// KnownOutcomes lists every outcome, in the order in which they are written.
func KnownOutcomes() []Known {
	var all []Known
	for _, part := range [][]Known{emailOutcomes(), phoneOutcomes(), appOutcomes(), canvasOutcomes(), peopleOutcomes()} {
		all = append(all, part...)
	}
	return all
}

// known describes an outcome; share is in millionths.
func known(name, from, to string, share Share, low, high int64, source string) Known {
	return Known{name, from, to, Outcome{share, Span{low, high}}, source}
}

// sending are the outcomes of what goes out on a channel, up to the send.
func sending(channel string, retries bool) []Known {
	list := []Known{
		known(channel+".control", "about to send", "enrolled in the control group (campaigns)", 50_000, 0, 0, assumed),
		known(channel+".abort", "about to send", "aborted", 8_000, 0, 2, assumed),
	}
	if retries {
		list = append(list,
			known(channel+".retry", "about to send", "held back by a frequency cap or a higher priority", 3_000, 0, 2, assumed),
			known(channel+".resend", "held back", "sent", 800_000, hour, 2*day, assumed),
			known(channel+".capped", "held back", "aborted when its window was over", Whole, 2*day, 3*day, assumed))
	}
	return append(list, known(channel+".send", "about to send", "sent", Whole, 0, 0, assumed))
}

func emailOutcomes() []Known {
	return append(sending("email", true),
		known("email.bounce", "sent", "bounced", 2_000, 1, 2*mins, average),
		known("email.soft_bounce", "sent", "bounced for now", 7_000, 1, 5*mins, average),
		known("email.deferral", "sent", "deferred", 15_000, 1, 2*mins, assumed),
		known("email.delivery", "sent", "delivered", Whole, 1, 5*mins, assumed),
		known("email.late_delivery", "deferred", "delivered", 850_000, 5*mins, 6*hour, assumed),
		known("email.given_up", "deferred", "bounced for now", Whole, 6*hour, day, assumed),
		known("email.open", "delivered", "opened", 350_000, 20, 36*hour, average),
		known("email.spam", "delivered", "marked as spam", 500, mins, 2*day, average),
		known("email.click", "opened", "clicked", 75_000, 3, 10*mins, average+" (2.6% of those delivered)"),
		known("email.reopen", "opened", "opened again", 120_000, hour, 4*day, assumed),
		known("email.unsubscribe", "opened", "unsubscribed", 6_000, 5, 5*mins, average+" (0.22% of those delivered)"),
		known("email.visit", "clicked", "session", 700_000, 1, 20, assumed),
		known("email.landing_page", "clicked", "landing page seen", 500_000, 1, 20, assumed),
		known("email.receipt", "sent, the first of its campaign", "unique receipt", Whole, 0, 2, assumed),
		known("email.state", "unsubscribed or marked as spam", "subscription state changed", Whole, 0, 3, assumed),
		known("landing_page.click", "landing page seen", "clicked", 300_000, 2, 5*mins, assumed),
		known("landing_page.form", "landing page seen", "form sent in", 200_000, 10, 10*mins, assumed),
		known("landing_page.survey", "form sent in", "first question of a survey answered", 200_000, 5, 5*mins, assumed),
		known("survey.next", "first question answered", "next question answered", 800_000, 3, mins, assumed),
		known("survey.last", "next question answered", "last question answered", 850_000, 3, mins, assumed),
	)
}

func phoneOutcomes() []Known {
	list := append(sending("sms", true),
		known("sms.carrier", "sent", "handed to the carrier", 995_000, 0, 5, assumed),
		known("sms.rejection", "handed to the carrier", "rejected", 4_000, 1, 30, assumed),
		known("sms.failure", "handed to the carrier", "not delivered", 20_000, 5, hour, assumed),
		known("sms.delivery", "handed to the carrier", "delivered", Whole, 1, 2*mins, assumed),
		known("sms.click", "delivered", "short link clicked", 80_000, 10, 12*hour, assumed),
		known("sms.visit", "short link clicked", "session", 800_000, 1, 20, assumed),
		known("sms.stop", "delivered", "STOP written back", 4_000, 20, 6*hour, assumed),
		known("sms.reply", "delivered", "written back", 20_000, 20, 6*hour, assumed))
	list = append(append(list, sending("rcs", false)...),
		known("rcs.rejection", "sent", "rejected", 30_000, 1, 30, assumed),
		known("rcs.delivery", "sent", "delivered", Whole, 1, 2*mins, assumed),
		known("rcs.read", "delivered", "read", 700_000, 5, 12*hour, assumed),
		known("rcs.click", "read", "clicked", 120_000, 3, 10*mins, assumed),
		known("rcs.visit", "clicked", "session", 600_000, 1, 20, assumed),
		known("rcs.stop", "read", "STOP written back", 4_000, 10, hour, assumed),
		known("rcs.reply", "read", "written back", 30_000, 10, hour, assumed))
	list = append(append(list, sending("whatsapp", true)...),
		known("whatsapp.failure", "sent", "failed", 30_000, 1, 30, assumed),
		known("whatsapp.delivery", "sent", "delivered", Whole, 1, 2*mins, assumed),
		known("whatsapp.read", "delivered", "read", 750_000, 5, 12*hour, assumed),
		known("whatsapp.click", "read", "clicked", 120_000, 3, 10*mins, assumed),
		known("whatsapp.visit", "clicked", "session", 700_000, 1, 20, assumed),
		known("whatsapp.stop", "read", "STOP written back", 4_000, 10, hour, assumed),
		known("whatsapp.reply", "read", "written back", 60_000, 10, hour, assumed))
	return append(append(list, sending("line", true)...),
		known("line.click", "sent", "clicked", 90_000, 10, 12*hour, assumed),
		known("line.visit", "clicked", "session", 700_000, 1, 20, assumed),
		known("line.stop", "sent", "STOP written back", 3_000, 20, 6*hour, assumed),
		known("line.reply", "sent", "written back", 30_000, 20, 6*hour, assumed))
}

func appOutcomes() []Known {
	list := append(sending("push", true),
		known("push.bounce", "sent", "bounced", 5_000, 1, 30, assumed),
		known("push.foreground", "sent to an iPhone", "arrived while the app was open", 30_000, 1, 5, assumed),
		known("push.open", "sent", "opened", 40_000, 5, 8*hour, average),
		known("push.visit", "opened", "session", 950_000, 0, 3, assumed),
		known("push.token_lost", "bounced", "push token removed", Whole, 0, 5, assumed),
		known("push.gone", "push token removed", "uninstalled", 700_000, mins, day, assumed))
	for _, c := range []string{"in_app_message", "banner"} {
		list = append(list,
			known(c+".control", "about to show", "enrolled in the control group (campaigns)", 50_000, 0, 0, assumed),
			known(c+".abort", "about to show", "aborted", 8_000, 0, 1, assumed),
			known(c+".impression", "about to show", "seen", Whole, 0, 2, assumed),
			known(c+".click", "seen", "clicked", map[string]Share{"in_app_message": 150_000, "banner": 15_000}[c], 2, mins, assumed),
			known(c+".act", "clicked", "custom event", 500_000, 1, mins, assumed))
		if c == "in_app_message" {
			list = append(list, known(c+".survey", "seen", "first question of a survey answered", 30_000, 5, mins, assumed))
		}
	}
	list = append(list, known("banner.dismiss", "seen", "dismissed", 50_000, 2, mins, assumed))
	list = append(append(list, sending("content_card", false)...),
		known("content_card.impression", "sent", "seen", 450_000, mins, 3*day, assumed),
		known("content_card.click", "seen", "clicked", 60_000, 1, mins, assumed),
		known("content_card.dismiss", "seen", "dismissed", 150_000, 1, mins, assumed),
		known("content_card.act", "clicked", "session", 500_000, 1, 20, assumed))
	list = append(append(list, sending("webhook", true)...),
		known("webhook.failure", "about to send", "failed", 15_000, 0, 30, assumed),
		known("webhook.try_again", "failed", "sent", 800_000, 1, 30, assumed))
	return append(list,
		known("live_activity.start", "token to start it", "started", Whole, 1, hour, assumed),
		known("live_activity.outcome", "sent", "outcome known", Whole, 0, 3, assumed),
		known("live_activity.token", "outcome of the start", "token to update it", 950_000, 0, 5, assumed),
		known("live_activity.update", "token, or outcome of an update", "updated", 700_000, mins, 20*mins, assumed),
		known("live_activity.end", "token, or outcome of an update", "ended", Whole, mins, 20*mins, assumed))
}

func canvasOutcomes() []Known {
	return []Known{
		known("canvas.control", "about to enter", "entered, in the control group", 80_000, 0, 0, assumed),
		known("canvas.entry", "about to enter", "entered", Whole, 0, 0, assumed),
		known("canvas.first_step", "entered", "first step", Whole, 0, 2, assumed),
		known("canvas.matched", "step", "left: matched the exit audience", 20_000, mins, day, assumed),
		known("canvas.performed", "step", "left: performed the exit event", 30_000, mins, day, assumed),
		known("canvas.next", "step", "next step", Whole, 10*mins, 2*day, assumed),
		known("canvas.exit", "left, or last step", "left for good", Whole, 0, 1, assumed),
		known("canvas.message", "message step", "about to send", 950_000, 0, 5, assumed),
		known("canvas.split", "first message step", "path of the experiment", 400_000, 0, 1, assumed),
		known("canvas.optimizer", "first message step", "content optimizer sends", 60_000, 0, 2, assumed),
		known("canvas.destination", "message step", "sent to a destination", 50_000, 0, 5, assumed),
		known("canvas.no_destination", "message step", "not sent to a destination", 5_000, 0, 5, assumed),
		known("canvas.agent", "message step", "agent runs", 80_000, 0, 2, assumed),
		known("canvas.split_conversion", "path of the experiment", "converted", 40_000, 5*mins, day, assumed),
		known("canvas.control_conversion", "in the control group", "converted", 20_000, 5*mins, 2*day, assumed),
		known("optimizer.store", "content optimizer sends", "component stored", 300_000, 1, hour, assumed),
		known("optimizer.conversion", "content optimizer sends", "converted", 100_000, mins, day, assumed),
		known("agent.tool", "agent ran", "tool called", 500_000, 0, 5, assumed),
	}
}

func peopleOutcomes() []Known {
	return []Known{
		known("newcomer.session", "first session", "session", Whole, 0, 1, assumed),
		known("newcomer.attribution", "first session", "install attributed", 400_000, 1, hour, assumed),
		known("newcomer.token", "first session", "push token added", 600_000, 5, 5*mins, assumed),
		known("newcomer.profile", "first session", "profile updated", 500_000, 30, hour, assumed),
		known("session.end", "session", "session over", Whole, 15, 40*mins, assumed),
		known("session.event", "session", "custom event (three times)", 600_000, 1, 20*mins, assumed),
		known("session.purchase", "session", "purchase", 20_000, 30, 30*mins, assumed),
		known("session.location", "session", "location", 100_000, 0, mins, assumed),
		known("session.profile", "session", "profile updated", 30_000, 5, 20*mins, assumed),
		known("session.token", "session", "push token updated", 10_000, 0, 30, assumed),
		known("session.in_app_message", "session", "about to show an in-app message", 250_000, 1, mins, assumed),
		known("session.banner", "session", "about to show a banner", 200_000, 1, mins, assumed),
		known("session.feature_flag", "session", "feature flag seen", 150_000, 1, mins, assumed),
		known("session.conversion", "session after a message", "converted", 30_000, 0, 2, assumed),
		known("event.purchase", "custom event", "purchase", 30_000, 5, 10*mins, assumed),
		known("purchase.conversion", "purchase after a message", "converted", 900_000, 0, 2, assumed),
		known("control.conversion", "enrolled in the control group", "converted", 15_000, 5*mins, day, assumed),
		known("inbound.state", "STOP written back", "subscription state changed", Whole, 0, 3, assumed),
		known("subscription.back", "unsubscribed", "subscribed again", 80_000, day, 30*day, assumed),
		known("uninstall.back", "uninstalled, or push token removed", "push token added", 150_000, hour, 30*day, assumed),
	}
}
