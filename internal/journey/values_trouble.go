package journey

import (
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/population"
)

// troubleValues say why a message was not sent, or not yet. Type and log agree.
func troubleValues() map[string]valueFunc {
	return map[string]valueFunc{
		"abort_type": text(func(m *moment, _ population.Draw) string { return abortType(m) }),
		"abort_log":  text(func(m *moment, _ population.Draw) string { return abortLog(m, abortType(m)) }),
		// A retry is a message that a frequency cap, or a message of higher priority,
		// held back, and that is tried again within its window. Braze publishes no
		// list of the types; these are assumptions.
		"retry_log": text(func(m *moment, _ population.Draw) string {
			capped := capRule(m)
			return []string{capped, "Held back by a message of higher priority"}[m.Draw.With(population.Key("retry_type")).N(2)]
		}),
	}
}

// abortTypes lists the values of abort_type that Braze documents for the Abort
// of a channel; events of the news feed and of RCS have the first ones only.
func abortTypes(event string, c population.Channel) []string {
	all := []string{
		liquidAbort, "template_parse_error", "rate_limit", "campaign_disabled", "campaign_does_not_exist",
		"campaign_action_does_not_exist", "message_variation_does_not_exist", "user_not_in_segment",
		"trigger_event_blacklisted", "exhausted_retries", frequencyCapped,
	}
	if c == population.RCS || strings.Contains(event, "newsfeedcard") {
		return all
	}
	all = append(all, "exhausted_cc_retries", "connected_content_not_supported", "promo_codes_not_supported", "catalog_items_rerender_not_supported")
	switch c {
	case population.Email, population.Push, population.InApp, population.ContentCard, population.Webhook, population.Banner:
		all = append(all, "blacklisted_media_url", "blocked_media_url", "invalid_media_url")
	}
	if c == population.Email || c == population.Webhook {
		all = append(all, "ssl_error", "invalid_http_status", "http_timeout", "missing_hostname")
	}
	return append(all, map[population.Channel][]string{
		population.Email: {"exhausted_link_shortening_retries", "missing_email", "invalid_domain"},
		population.Push:  {"invalid_push_payload", "sdk_not_supported"},
		population.SMS: {
			"exhausted_link_shortening_retries", "sms_empty_payload", "sms_no_sending_numbers", "sms_fatal_provider_error",
			"sms_gateway_domain_not_allowed", "blocked_recipient_country", "mms_not_supported", "no_current_messaging_service",
		},
		population.WhatsApp: {
			"whats_app_no_sending_numbers", "whats_app_invalid_template_message", "whats_app_invalid_response_message", "whats_app_fatal_provider_error",
		},
		population.LINE:        {"line_fatal_provider_error"},
		population.ContentCard: {"content_card_size_exceeded", "content_card_content_invalid", "content_card_expiration_invalid", "content_card_general"},
		population.InApp:       {"no_longer_in_availability_window", "maximum_impressions_reached"},
		population.Webhook:     {"blocked_webhook_url"},
	}[c]...)
}

const (
	liquidAbort     = "liquid_abort_message"
	frequencyCapped = "frequency_capped"
)

// abortType is why the moment's message was not sent.
func abortType(m *moment) string {
	switch {
	case m.Note == "capped":
		return frequencyCapped
	case m.show != showSome || len(m.typ.aborts) == 0:
		return liquidAbort
	default:
		return population.Pick(m.Draw.With(population.Key("abort_type")), m.typ.aborts)
	}
}

// abortLog has at most 128 characters.
func abortLog(m *moment, abort string) string {
	switch abort {
	case frequencyCapped:
		return capRule(m)
	case liquidAbort:
		return "{% abort_message('no basket') %} was called"
	case "user_not_in_segment":
		return "User was no longer in the segment when the message was to be sent"
	case "exhausted_cc_retries":
		return "Connected Content gave no usable response after 5 retries"
	default:
		return strings.ToUpper(abort[:1]) + strings.ReplaceAll(abort[1:], "_", " ")
	}
}

// capRule names a rule as Braze does.
func capRule(m *moment) string {
	return "Frequency cap rule: 5 " + strings.ReplaceAll(string(m.channel), "_", " ") + " messages every 1 week"
}

// tagRan says whether an abort came after the tag that adds message_extras ran:
// while the message was made, not before.
func tagRan(m *moment) bool {
	switch abortType(m) {
	case liquidAbort, "exhausted_cc_retries", "exhausted_link_shortening_retries", "blacklisted_media_url", "blocked_media_url", "invalid_media_url":
		return true
	}
	return false
}

// surveyValues are the fields of surveys, landing pages, Content Optimizer, and of
// Canvas steps that send people to another vendor.
func surveyValues() map[string]valueFunc {
	landing := func(m *moment) *population.Named {
		return pick(m.Root.With(population.Key("landing_page_api_id")), m.pop.LandingPages) // id and name go together
	}
	destination := func(m *moment) *population.Named {
		return pick(m.Root.With(population.Key("destination")), m.pop.Destinations)
	}
	return map[string]valueFunc{
		"content_optimizer_step_id": drawn(func(m *moment) population.Draw { return m.pop.Draw(m.Step.ID) }, hex("", 24)),
		"combination_token":         filled(`"$_$_$"`, with(0, whole(0, 3)), with(1, whole(0, 3)), with(2, whole(0, 3))),
		"content": escaped(func(dst []byte, m *moment, d population.Draw) []byte {
			return append(appendString(append(dst, `{"subject":`...), population.Pick(d, m.pop.Sentences)), '}')
		}),
		"destination_api_id":  text(func(m *moment, _ population.Draw) string { return destination(m).ID }),
		"destination_name":    text(func(m *moment, _ population.Draw) string { return destination(m).Name }),
		"landing_page_api_id": text(func(m *moment, _ population.Draw) string { return landing(m).ID }),
		"landing_page_name":   text(func(m *moment, _ population.Draw) string { return landing(m).Name }),
		"survey_id":           text(func(m *moment, d population.Draw) string { return population.Pick(d, m.pop.Surveys).ID }),
		"answer_type": text(func(m *moment, _ population.Draw) string {
			return []string{"single_string", "free_form_text", "single_boolean", "single_int", "multiple_string"}[answer(m)]
		}),
		"answer_long_string": text(func(m *moment, d population.Draw) string { return population.Pick(d, m.pop.Sentences) }),
	}
}

// answer is the kind of the answer to a question; ten events in a row show each.
func answer(m *moment) int { return m.turn % 5 }

func answered(kind int) func(*moment) bool {
	return func(m *moment) bool { return answer(m) == kind }
}
