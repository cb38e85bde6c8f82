package journey

import "github.com/currentsbridge/currentsbridge/mockbraze/population"

// fitting says which optional fields go with which moments, by the field's
// name or by "event type/name". A field that does not fit is left out, except
// where the moment shows everything.
func fitting() map[string]func(*moment) bool {
	campaign := func(m *moment) bool { return m.about.campaign != nil }
	canvas := func(m *moment) bool { return m.about.canvas != nil }
	on := func(platforms ...population.Platform) func(*moment) bool {
		return func(m *moment) bool {
			for _, p := range platforms {
				if m.user.App.Platform == p {
					return true
				}
			}
			return false
		}
	}
	browser, advertised := on(population.Web), func(m *moment) bool { return adIDType(m.user.App.Platform) != "" }
	byMail := func(m *moment) bool { return m.about.channel == population.Email }
	byPhone := func(m *moment) bool { return m.about.channel != population.Email }
	bot := func(m *moment) bool { return m.flip("is_suspected_bot_click", 5) }
	runs := func(m *moment) bool { return m.flip("live activity runs", 60) }
	return map[string]func(*moment) bool{
		"external_user_id": func(m *moment) bool { return m.user.Identified },

		"campaign_id": campaign, "campaign_name": campaign,
		"canvas_id": canvas, "canvas_name": canvas,
		"canvas_variation_id": canvas, "canvas_variation_name": canvas,
		"canvas_step_id": canvas, "canvas_step_name": canvas,
		"canvas_step_message_variation_api_id": canvas,

		"ad_id": advertised, "ad_id_type": advertised, "ad_tracking_enabled": advertised,
		"ios_push_token_apns_gateway": on(population.IOS),
		"web_push_token_public_key":   browser, "web_push_token_user_auth": browser,
		"web_push_token_vapid_public_key": browser,
		"carrier":                         func(m *moment) bool { return m.user.Model.Class == "mobile" },

		"users.messages.banner.Abort/browser":           browser,
		"users.messages.banner.Click/browser":           browser,
		"users.messages.banner.Dismiss/browser":         browser,
		"users.messages.banner.Impression/browser":      browser,
		"users.messages.featureflag.Impression/browser": browser,

		"machine_open":               func(m *moment) bool { return m.flip("machine_open", 15) },
		"suspected_bot_click_reason": bot,
		"exit_reason":                func(m *moment) bool { return m.flip("exit", 25) },
		"next_step_id":               func(m *moment) bool { return !m.flip("exit", 25) },

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
}
