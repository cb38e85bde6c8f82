package journey

import (
	"github.com/currentsbridge/currentsbridge/mockbraze/population"
)

// phoneValues are the fields of SMS, RCS, WhatsApp and LINE.
func phoneValues() map[string]valueFunc {
	sender := text(func(m *moment, _ population.Draw) string { return group(m).Sender })
	number := text(func(m *moment, _ population.Draw) string { return group(m).Number })
	return map[string]valueFunc{
		"to_phone_number":      userText((*population.User).AppendPhone),
		"user_phone_number":    userText((*population.User).AppendPhone),
		"from_phone_number":    number,
		"inbound_phone_number": number,
		"from_rcs_sender":      sender,
		"to_rcs_sender":        sender,
		"line_channel_id":      sender,
		"line_channel_name":    text(func(m *moment, _ population.Draw) string { return m.pop.Name + " official" }),
		"native_line_id":       userText(func(u *population.User, dst []byte) []byte { return appendLineID(dst, u) }),
		"bsuid":                userText(appendBSUID),
		"category":             oneOf("opt-in", "opt-out", "help"),
		"action":               oneOf("Subscribed", "Unsubscribed", "None"),
		"is_sms_fallback":      chance(15),
		"message_body":         text(reply),
		"media_urls":           mediaURLs,
		"media_id":             digits("5", 17),
		"error":                aligned("provider_error_code", "Unreachable destination handset", "Unknown destination handset", "Landline or unreachable carrier", "Message undeliverable"),
		"provider_error_code":  aligned("provider_error_code", "30003", "30005", "30006", "131026"),
		"provider_error_title": aligned("provider_error_code", "Unreachable destination", "Unknown destination", "Unreachable carrier", "Message undeliverable"),
		"interaction_type":     oneOf("REPLY", "URL", "DIAL", "CALENDAR"),
		"element_type":         oneOf("SUGGESTED_REPLY", "SUGGESTED_ACTION", "CARD_BUTTON"),
		"element_label":        oneOf("Yes, please", "Call us", "Show on map", "Später"),
		"message_id":           messageID,
		"in_reply_to":          messageID,
		"flow_id":              digits("7", 15),
		"catalog_id":           digits("9", 15),
		"template_name":        oneOf("order_update", "welcome_offer", "appointment_reminder"),
		"quick_reply_text":     oneOf("Yes", "No, thanks", "Stop", "Sí"),
		"flow_response_json":   escaped(flowResponse),
	}
}

// appendBSUID appends WhatsApp's id of a user at one business: the country and
// a number.
func appendBSUID(u *population.User, dst []byte) []byte {
	dst = append(append(dst, u.Place.Country...), '.')
	return population.AppendDigits(append(dst, '1'), u.Draw("bsuid"), 16)
}

// messageID is WhatsApp's id of a message.
func messageID(dst []byte, _ *moment, d population.Draw) []byte {
	dst = append(dst, `"wamid.HBgL`...)
	return append(population.AppendHex(dst, d, 36), '"')
}

// reply is what a person writes back.
func reply(m *moment, d population.Draw) string {
	if d.Chance(40) {
		return []string{"STOP", "START", "HELP", "Yes!", "👍", "¿Cuándo llega mi pedido?"}[d.With(1).N(6)]
	}
	return population.Pick(d.With(2), m.pop.Sentences)
}

// mediaURLs holds null where a medium could not be kept, as Braze sends it.
func mediaURLs(dst []byte, _ *moment, d population.Draw) []byte {
	dst = append(dst, `["https://media.example.com/`...)
	dst = append(population.AppendHex(dst, d, 24), `.jpg"`...)
	if d.With(1).Chance(25) {
		dst = append(dst, ",null"...)
	}
	return append(dst, ']')
}

func flowResponse(dst []byte, _ *moment, d population.Draw) []byte {
	dst = append(dst, `{"flow_token":"`...)
	dst = population.AppendHex(dst, d, 16)
	return append(append(append(dst, `","rating":`...), byte('1'+d.With(1).N(5))), `,"comment":"très bien"}`...)
}
