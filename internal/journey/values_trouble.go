package journey

import (
	_ "embed" // for aborts.json
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/population"
)

//go:embed aborts.json
var abortsText []byte

// aborts are the values of abort_type that Braze documents: for all channels, for all
// but the news feed and RCS, for those with media, for those over HTTP, for one channel.
var aborts = parsed[map[string][]string](abortsText)

// abortTypes lists the values of abort_type of an event type.
func abortTypes(event string, c population.Channel) []string {
	all := slices.Clone(aborts["all"])
	if c == population.RCS || strings.Contains(event, "newsfeedcard") {
		return all
	}
	all = append(all, aborts["most"]...)
	switch c {
	case population.Email, population.Webhook:
		all = slices.Concat(all, aborts["media"], aborts["http"])
	case population.Push, population.InApp, population.ContentCard, population.Banner:
		all = append(all, aborts["media"]...)
	}
	return append(all, aborts[string(c)]...)
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

// otherValues say why a message was not sent, or not yet (type and log agree). The rest
// are the fields of surveys, landing pages, Content Optimizer, and of Canvas steps that
// send people to another vendor.
func otherValues() map[string]valueFunc {
	landing := func(m *moment) *population.Named {
		return pick(m.Root.With(population.Key("landing_page_api_id")), m.pop.LandingPages) // id and name go together
	}
	destination := func(m *moment) *population.Named {
		return pick(m.Root.With(population.Key("destination")), m.pop.Destinations)
	}
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
