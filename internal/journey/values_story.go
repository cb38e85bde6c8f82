package journey

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/journey/plot"
	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
)

// storyValues are the values of fields in stories: those of Rounds, but for those
// that depend on what happened before.
func storyValues(rough *scenario.Rough) map[string]valueFunc {
	all := valueFuncs()
	// Values that stay with a message, an entry or a run.
	for name := range strings.FieldsSeq(`ip_pool sending_ip esp mailbox_provider is_amp content_card_id card_id
		banner_placement_id feature_flag_id_name message_id flow_id template_name category is_sms_fallback url short_url
		message_extras combination_token activity_attributes_type request_id invocation_source invocation_id survey_id
		survey_session_id response_id landing_page_api_id landing_page_name content_optimizer_step_id
		destination_api_id destination_name destination_type`) {
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
			return appendString(dst, chatter(m, d))
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
	for _, name := range []string{"message_variation_id", "message_variation_name", "dispatch_id", "send_id"} {
		fits[name] = func(m *moment) bool { return m.Wording != nil }
	}
	fits["state_change_source"] = func(m *moment) bool { return m.Note != "spam" } // Braze has no word for it
	fits["send_time"] = func(m *moment) bool { return m.Sent > 0 }
	fits["Response/landing_page_api_id"] = func(m *moment) bool { return m.Channel == population.Email }
	fits["Response/landing_page_name"] = fits["Response/landing_page_api_id"]
	for _, event := range []string{"Send", "Outcome"} {
		fits["users.messages.liveactivity."+event+"/push_to_start_token"] = func(m *moment) bool { return m.Note == "start" }
		fits["users.messages.liveactivity."+event+"/update_token"] = func(m *moment) bool { return m.Note != "start" }
	}
	return fits
}

// chatter is a reply that is none of the words that change a subscription.
func chatter(m *moment, d population.Draw) string {
	for i := uint64(0); ; i++ {
		if words := reply(m, d.With(i)); words != "STOP" && words != "START" {
			return words
		}
	}
}

// on says whether a moment happens on one of some platforms.
func on(platforms ...population.Platform) func(*moment) bool {
	return func(m *moment) bool { return slices.Contains(platforms, m.User.App.Platform) }
}

// fitting says which optional fields go with which moments, by the field's
// name or by "event type/name". A field that does not fit is left out, except
// where the moment shows everything.
func fitting() map[string]func(*moment) bool {
	flip := func(name string, percent int, is bool) func(*moment) bool {
		return func(m *moment) bool { return m.flip(name, percent) == is }
	}
	all := make(map[string]func(*moment) bool)
	for _, fields := range []struct {
		fit   func(*moment) bool
		names string
	}{
		{func(m *moment) bool { return m.User.Identified }, "external_user_id"},
		{func(m *moment) bool { return m.Campaign != nil }, "campaign_id campaign_name"},
		{func(m *moment) bool { return m.Canvas != nil }, `canvas_id canvas_name canvas_variation_id canvas_variation_name
			canvas_step_id canvas_step_name canvas_step_message_variation_api_id ` + strings.Join(canvasFields(), " ")},
		{func(m *moment) bool { return m.Canvas != nil && !m.flip("exit", 25) }, "next_step_id"},
		{flip("exit", 25, true), "exit_reason"},
		{func(m *moment) bool { return adIDTypes[m.User.App.Platform] != "" }, "ad_id ad_id_type ad_tracking_enabled"},
		{on(population.IOS), "ios_push_token_apns_gateway"},
		{on(population.Web), `web_push_token_public_key web_push_token_user_auth web_push_token_vapid_public_key
			users.messages.banner.Abort/browser users.messages.banner.Click/browser users.messages.banner.Dismiss/browser
			users.messages.banner.Impression/browser users.messages.featureflag.Impression/browser`},
		{func(m *moment) bool { return m.User.Model.Class == "mobile" }, "carrier"},
		{flip("machine_open", 15, true), "machine_open"},
		{flip("is_suspected_bot_click", 5, true), "suspected_bot_click_reason"},
		{tagRan, "Abort/message_extras"},
		{answered(0), "answer_single_string"}, {answered(1), "answer_long_string"}, {answered(2), "answer_single_boolean"},
		{answered(3), "answer_single_number"}, {answered(4), "answer_multiple_strings"},
		{flip("landing page", 40, true), "Response/landing_page_api_id Response/landing_page_name"},
		{flip("is_error", 5, true), "agentconsole.AgentExecuted/error"},
		{flip("is_error", 5, false), "agentconsole.AgentExecuted/output"},
		{func(m *moment) bool { return m.channel == population.Email },
			"users.behaviors.subscription.GlobalStateChange/email_address users.behaviors.subscriptiongroup.StateChange/email_address"},
		{func(m *moment) bool { return m.channel != population.Email }, "users.behaviors.subscriptiongroup.StateChange/phone_number"},
		{flip("live activity runs", 60, false),
			"users.messages.liveactivity.Send/push_to_start_token users.messages.liveactivity.Outcome/push_to_start_token"},
		{flip("live activity runs", 60, true),
			"users.messages.liveactivity.Send/update_token users.messages.liveactivity.Outcome/update_token"},
	} {
		for name := range strings.FieldsSeq(fields.names) {
			all[name] = fields.fit
		}
	}
	return all
}

// linking are the fields that link the events of a story. In stories they are always
// there, where they fit.
var linking = strings.Fields(`user_id app_id platform campaign_id campaign_name canvas_id canvas_name
	canvas_variation_id canvas_variation_name canvas_step_id canvas_step_name canvas_step_message_variation_api_id
	message_variation_id message_variation_name dispatch_id send_id next_step_id exit_reason is_canvas_entry
	experiment_step_id experiment_split_id subscription_group_id channel content_card_id message_id in_reply_to
	request_id activity_id live_activity_event_type push_token push_token_state_change_type session_id duration
	conversion_behavior send_time is_unique state_change_source abort_type survey_id survey_session_id
	survey_completion_status landing_page_api_id combination_token`)

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
