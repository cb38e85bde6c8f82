package journey

import "github.com/currentsbridge/currentsbridge/mockbraze/population"

// How often an optional field that fits is missing or null, in percent. Braze
// publishes no such numbers; these are assumptions.
const (
	absentPercent = 12
	nullPercent   = 6
)

// has decides whether a moment shows a field.
func (m *moment) has(f *field, d population.Draw) presence {
	switch {
	case f.required || m.show == showAll:
		return present
	case f.fits != nil && !f.fits(m):
		return m.lacking(f, d)
	case m.tale != nil && f.links:
		return present
	case m.show != showSome || f.identifies(m):
		return present
	}
	switch n := d.With(presenceKey).N(100); {
	case n < absentPercent:
		return absent
	case n < absentPercent+nullPercent:
		return null
	default:
		return present
	}
}

// lacking is how Braze says that there is no external id: mostly by leaving it
// out. Other fields that do not fit are left out.
func (m *moment) lacking(f *field, d population.Draw) presence {
	if f.label == externalID && d.With(presenceKey).Chance(30) {
		return null
	}
	return absent
}

const (
	presenceKey = 0xFEED
	userID      = `"user_id":`
	externalID  = `"external_user_id":`
)

// links says whether a story is followed by a field: where such a one fits, it
// is always there.
func links(name string) bool {
	switch name {
	case "user_id", "app_id", "platform", "campaign_id", "campaign_name", "canvas_id", "canvas_name",
		"canvas_variation_id", "canvas_variation_name", "canvas_step_id", "canvas_step_name",
		"canvas_step_message_variation_api_id", "message_variation_id", "message_variation_name", "dispatch_id",
		"send_id", "next_step_id", "exit_reason", "is_canvas_entry", "experiment_step_id", "experiment_split_id",
		"subscription_group_id", "channel", "content_card_id", "message_id", "in_reply_to", "request_id",
		"activity_id", "live_activity_event_type", "push_token", "push_token_state_change_type", "session_id",
		"duration", "conversion_behavior":
		return true
	}
	return false
}

// identifies says whether leaving the field out could leave nobody whom the
// event happened to: the external id of those who have one, else the user id.
func (f *field) identifies(m *moment) bool {
	return f.label == externalID || f.label == userID && !m.user.Identified
}
