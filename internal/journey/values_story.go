package journey

import (
	"maps"
	"slices"
	"strconv"

	"github.com/currentsbridge/currentsbridge/internal/journey/plot"
	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
)

// storyValues are the values of fields in stories: those of Rounds, but for those
// that depend on what happened before.
func storyValues(rough *scenario.Rough) map[string]valueFunc {
	all := valueFuncs()
	// Values that stay with a message, an entry or a run.
	for _, name := range []string{
		"ip_pool", "sending_ip", "esp", "mailbox_provider", "is_amp", "content_card_id", "card_id", "banner_placement_id",
		"feature_flag_id_name", "message_id", "flow_id", "template_name", "category", "is_sms_fallback", "url", "short_url",
		"message_extras", "combination_token", "activity_attributes_type", "request_id", "invocation_source",
		"invocation_id", "survey_id", "survey_session_id", "response_id", "landing_page_api_id", "landing_page_name",
		"content_optimizer_step_id", "destination_api_id", "destination_name", "destination_type",
	} {
		all[name] = rooted(name, all[name])
	}
	all["users.messages.whatsapp.InboundReceive/message_id"] = messageID
	all["in_reply_to"] = rooted("message_id", messageID)
	maps.Copy(all, map[string]valueFunc{
		"dispatch_id":         drawn(func(m *moment) population.Draw { return m.Dispatch }, dispatchID),
		"send_id":             drawn(func(m *moment) population.Draw { return m.Dispatch.With(1) }, hex("", 24)),
		"session_id":          drawn(func(m *moment) population.Draw { return m.Session }, uuid),
		"canvas_entry_id":     drawn(func(m *moment) population.Draw { return m.Entry }, uuid),
		"activity_id":         quoted(func(dst []byte, m *moment, _ population.Draw) []byte { return population.AppendUpperUUID(dst, m.Root) }),
		"update_token":        drawn(func(m *moment) population.Draw { return m.Root.With(1) }, hex("", 64)),
		"duration:number":     integer(func(m *moment, _ population.Draw) int64 { return m.Time - max(m.Began, m.Time-86400) }),
		"custom_properties":   roughly(rough, all["custom_properties"], true),
		"purchase_properties": roughly(rough, all["purchase_properties"], false),
	})
	maps.Copy(all, notedValues())
	for name, thing := range namedThings() {
		if name == "experiment_split" {
			continue // is never renamed
		}
		all[name+"_name"] = func(dst []byte, m *moment, d population.Draw) []byte {
			return appendName(dst, m, &rough.Renames, thing(m), d)
		}
	}
	all["canvas_step_message_variation_api_id"] = text(func(m *moment, _ population.Draw) string { return m.Wording.ID })
	return all
}

// rooted makes values that are the same for all events of a Root.
func rooted(name string, value valueFunc) valueFunc {
	key := population.Key(name)
	return drawn(func(m *moment) population.Draw { return m.Root.With(key) }, value)
}

// noted chooses among JSON values by the note of the node.
func noted(otherwise string, texts map[string]string) valueFunc {
	return func(dst []byte, m *moment, _ population.Draw) []byte {
		if v, ok := texts[m.Note]; ok {
			return append(dst, v...)
		}
		return append(dst, otherwise...)
	}
}

// notedValues are the fields that depend on the note of the node.
func notedValues() map[string]valueFunc {
	status := noted(`"Subscribed"`, map[string]string{
		"link": `"Unsubscribed"`, "spam": `"Unsubscribed"`, "stop": `"Unsubscribed"`, "off": `"Unsubscribed"`, "opt-in": `"Opted In"`,
	})
	chat := chatter(reply)
	return map[string]valueFunc{
		"subscription_status": status,
		"users.behaviors.subscription.GlobalStateChange/subscription_status": status,
		// The source follows from the cause; joining a group again is done where it was left.
		"state_change_source": func(dst []byte, m *moment, _ population.Draw) []byte {
			switch {
			case m.Note == "stop", m.Note == "on" && m.channel != population.Email && m.typ.name == plot.GroupState:
				return append(dst, `"Inbound Message"`...)
			case m.Note == "off":
				return append(dst, `"Preference Center"`...)
			default:
				return append(dst, `"Subscription Page"`...)
			}
		},
		"is_unique":                func(dst []byte, m *moment, _ population.Draw) []byte { return strconv.AppendBool(dst, m.First) },
		"send_time":                integer(func(m *moment, _ population.Draw) int64 { return m.Sent }),
		"survey_completion_status": noted(`"incomplete"`, map[string]string{"last": `"completed"`}),
		"in_control_group":         noted("false", map[string]string{"control": "true"}),
		"users.canvas.experimentstep.SplitEntry/in_control_group": rooted("split control", chance(10)),
		"push_token_state_change_type":                            noted(`"add"`, map[string]string{"remove": `"remove"`, "update": `"update"`}),
		"live_activity_event_type":                                noted(`"start"`, map[string]string{"update": `"update"`, "end": `"end"`}),
		"progression_type": noted(`"entered"`, map[string]string{
			"advanced": `"advanced"`, "delayed": `"delayed"`, "exited": `"exited"`,
		}),
		"is_canvas_entry": noted("false", map[string]string{"entered": "true"}),
		"action":          noted(`"None"`, map[string]string{"stop": `"Unsubscribed"`}),
		"message_body": func(dst []byte, m *moment, d population.Draw) []byte {
			if m.Note == "stop" {
				return append(dst, `"STOP"`...)
			}
			return chat(dst, m, d)
		},
		"exit_reason": func(dst []byte, m *moment, _ population.Draw) []byte {
			return append(dst, [...]string{`"canvas_completed"`, `"audience_matched"`, `"exit_criteria"`}[m.Exit]...)
		},
		"next_step_id": text(func(m *moment, _ population.Draw) string {
			return m.Canvas.Steps[(m.Place+1)%len(m.Canvas.Steps)].ID
		}),
	}
}

// storyFitting says which optional fields go with which moments of a story.
func storyFitting() map[string]func(*moment) bool {
	fits := fitting()
	fits["exit_reason"] = func(m *moment) bool { return m.Note == "exited" }
	fits["next_step_id"] = func(m *moment) bool {
		return m.Note != "exited" && m.Canvas != nil && m.Place+1 < len(m.Canvas.Steps)
	}
	message := func(m *moment) bool { return m.Wording != nil }
	for _, name := range []string{"message_variation_id", "message_variation_name", "dispatch_id", "send_id"} {
		fits[name] = message
	}
	fits["state_change_source"] = func(m *moment) bool { return m.Note != "spam" } // Braze has no word for it
	fits["send_time"] = func(m *moment) bool { return m.Sent > 0 }
	fits["Response/landing_page_api_id"] = func(m *moment) bool { return m.Channel == population.Email }
	fits["Response/landing_page_name"] = fits["Response/landing_page_api_id"]
	start := func(m *moment) bool { return m.Note == "start" }
	for _, event := range []string{"Send", "Outcome"} {
		fits["users.messages.liveactivity."+event+"/push_to_start_token"] = start
		fits["users.messages.liveactivity."+event+"/update_token"] = func(m *moment) bool { return m.Note != "start" }
	}
	return fits
}

// chatter is a text that is none of the words that change a subscription.
func chatter(of func(m *moment, d population.Draw) string) valueFunc {
	return text(func(m *moment, d population.Draw) string {
		for i := uint64(0); ; i++ {
			if words := of(m, d.With(i)); words != "STOP" && words != "START" {
				return words
			}
		}
	})
}

// on says whether a moment happens on one of some platforms.
func on(platforms ...population.Platform) func(*moment) bool {
	return func(m *moment) bool { return slices.Contains(platforms, m.User.App.Platform) }
}

// fitting says which optional fields go with which moments, by the field's
// name or by "event type/name". A field that does not fit is left out, except
// where the moment shows everything.
func fitting() map[string]func(*moment) bool {
	campaign := func(m *moment) bool { return m.Campaign != nil }
	canvas := func(m *moment) bool { return m.Canvas != nil }
	browser, advertised := on(population.Web), func(m *moment) bool { return adIDType(m.User.App.Platform) != "" }
	byMail := func(m *moment) bool { return m.channel == population.Email }
	byPhone := func(m *moment) bool { return m.channel != population.Email }
	bot := func(m *moment) bool { return m.flip("is_suspected_bot_click", 5) }
	runs := func(m *moment) bool { return m.flip("live activity runs", 60) }
	all := map[string]func(*moment) bool{
		"external_user_id": func(m *moment) bool { return m.User.Identified },

		"campaign_id": campaign, "campaign_name": campaign,
		"canvas_id": canvas, "canvas_name": canvas,
		"canvas_variation_id": canvas, "canvas_variation_name": canvas,
		"canvas_step_id": canvas, "canvas_step_name": canvas,
		"canvas_step_message_variation_api_id": canvas,

		"ad_id": advertised, "ad_id_type": advertised, "ad_tracking_enabled": advertised,
		"ios_push_token_apns_gateway": on(population.IOS),
		"web_push_token_public_key":   browser, "web_push_token_user_auth": browser,
		"web_push_token_vapid_public_key": browser,
		"carrier":                         func(m *moment) bool { return m.User.Model.Class == "mobile" },

		"users.messages.banner.Abort/browser":           browser,
		"users.messages.banner.Click/browser":           browser,
		"users.messages.banner.Dismiss/browser":         browser,
		"users.messages.banner.Impression/browser":      browser,
		"users.messages.featureflag.Impression/browser": browser,

		"machine_open":               func(m *moment) bool { return m.flip("machine_open", 15) },
		"suspected_bot_click_reason": bot,
		"exit_reason":                func(m *moment) bool { return m.flip("exit", 25) },
		"next_step_id":               func(m *moment) bool { return m.Canvas != nil && !m.flip("exit", 25) },

		"Abort/message_extras": tagRan,
		"answer_single_string": answered(0), "answer_long_string": answered(1), "answer_single_boolean": answered(2),
		"answer_single_number": answered(3), "answer_multiple_strings": answered(4),
		"Response/landing_page_api_id": func(m *moment) bool { return m.flip("landing page", 40) },
		"Response/landing_page_name":   func(m *moment) bool { return m.flip("landing page", 40) },

		"agentconsole.AgentExecuted/error":  func(m *moment) bool { return m.flip("is_error", 5) },
		"agentconsole.AgentExecuted/output": func(m *moment) bool { return !m.flip("is_error", 5) },

		"users.behaviors.subscription.GlobalStateChange/email_address": byMail,
		"users.behaviors.subscriptiongroup.StateChange/email_address":  byMail,
		"users.behaviors.subscriptiongroup.StateChange/phone_number":   byPhone,
		"users.messages.liveactivity.Send/push_to_start_token":         func(m *moment) bool { return !runs(m) },
		"users.messages.liveactivity.Send/update_token":                runs,
		"users.messages.liveactivity.Outcome/push_to_start_token":      func(m *moment) bool { return !runs(m) },
		"users.messages.liveactivity.Outcome/update_token":             runs,
	}
	for _, name := range canvasFields() {
		if all[name] == nil {
			all[name] = canvas
		}
	}
	return all
}

// links says whether a field links the events of a story. In stories such a field is
// always there, where it fits.
func links(name string) bool {
	switch name {
	case "user_id", "app_id", "platform", "campaign_id", "campaign_name", "canvas_id", "canvas_name",
		"canvas_variation_id", "canvas_variation_name", "canvas_step_id", "canvas_step_name",
		"canvas_step_message_variation_api_id", "message_variation_id", "message_variation_name", "dispatch_id",
		"send_id", "next_step_id", "exit_reason", "is_canvas_entry", "experiment_step_id", "experiment_split_id",
		"subscription_group_id", "channel", "content_card_id", "message_id", "in_reply_to", "request_id",
		"activity_id", "live_activity_event_type", "push_token", "push_token_state_change_type", "session_id",
		"duration", "conversion_behavior", "send_time", "is_unique", "state_change_source", "abort_type",
		"survey_id", "survey_session_id", "survey_completion_status", "landing_page_api_id", "combination_token":
		return true
	}
	return false
}

// keyRenamed is apart from the keys of a moment.
const keyRenamed = 108

// appendName appends the name of a thing. Things are renamed now and then, and for
// some time after that Braze sends null or the old name.
func appendName(dst []byte, m *moment, renames *scenario.Renames, thing *population.Named, d population.Draw) []byte {
	every := int64(renames.Every)
	if every == 0 {
		return appendString(dst, thing.Name)
	}
	phase := int64(population.Key(thing.ID) % uint64(every))
	renamed := (m.Time+phase)/every - (Reference().Unix()+phase)/every
	if renamed > 0 && (m.Time+phase)%every < int64(renames.For) {
		switch d.With(keyRenamed).N(3) {
		case 0:
			return append(dst, "null"...)
		case 1:
			renamed--
		}
	}
	if renamed <= 0 {
		return appendString(dst, thing.Name)
	}
	m.scratch = append(append(m.scratch[:0], thing.Name...), " (version "...)
	m.scratch = append(appendFixed(m.scratch, renamed+1, 0), ')')
	return appendString(dst, string(m.scratch))
}
