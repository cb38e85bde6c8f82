package journey

import (
	"bytes"
	_ "embed" // for aborts.json
	"slices"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/population"
)

// namedThings are the campaign, Canvas and their parts that a message belongs to, by
// the prefix of their fields' names.
func namedThings() map[string]func(m *moment) *population.Named {
	return map[string]func(m *moment) *population.Named{
		"campaign":          func(m *moment) *population.Named { return &m.Campaign.Named },
		"canvas":            func(m *moment) *population.Named { return &m.Canvas.Named },
		"canvas_variation":  func(m *moment) *population.Named { return m.Variation },
		"canvas_step":       func(m *moment) *population.Named { return &m.Step.Named },
		"message_variation": func(m *moment) *population.Named { return m.Wording },
		"experiment_split": func(m *moment) *population.Named {
			return pick(m.User.Draw(m.Canvas.ID), m.Canvas.Splits)
		},
	}
}

// sourceValues says which campaign or Canvas a message belongs to. Ids and
// names of one campaign always go together.
func sourceValues() map[string]valueFunc {
	all := map[string]valueFunc{
		"experiment_step_id": text(func(m *moment, _ population.Draw) string { return m.Canvas.ExperimentID }),
		"next_step_id":       text(func(m *moment, d population.Draw) string { return population.Pick(d, m.Canvas.Steps).ID }),
		"canvas_step_message_variation_api_id": text(func(m *moment, _ population.Draw) string {
			return m.Step.Variations[m.Draw.With(keyWording).N(len(m.Step.Variations))].ID
		}),
		// The same for one user and one Canvas.
		"canvas_entry_id": drawn(func(m *moment) population.Draw { return m.User.Draw(m.Canvas.ID) }, uuid),
		// The same for all recipients of one send.
		"dispatch_id": drawn(func(m *moment) population.Draw { return m.sendDraw(3600) }, dispatchID),
		"send_id":     drawn(func(m *moment) population.Draw { return m.sendDraw(86400).With(1) }, hex("", 24)),
		"channel":     text(func(m *moment, _ population.Draw) string { return string(m.channel) }),
		"progression_type": text(func(m *moment, d population.Draw) string {
			if m.flip("exit", 25) {
				return "exited"
			}
			return []string{"entered", "advanced", "delayed"}[d.N(3)]
		}),
		"send_time":              integer(func(m *moment, d population.Draw) int64 { return m.Time - int64(d.Between(1, 3*3600)) }),
		"subscription_group_id":  text(func(m *moment, _ population.Draw) string { return group(m).ID }),
		"is_suspected_bot_click": flipped("is_suspected_bot_click", 5),
		"suspected_bot_click_reason": among(
			fixed(`["user_agent"]`), fixed(`["ip_address"]`), fixed(`["user_agent","rapid_clicks"]`), fixed(`["honeypot_link"]`),
		),
		"url":                link,
		"channel_identifier": channelIdentifier,
	}
	for name, thing := range namedThings() {
		all[name+"_id"] = text(func(m *moment, _ population.Draw) string { return thing(m).ID })
		all[name+"_name"] = text(func(m *moment, _ population.Draw) string { return thing(m).Name })
	}
	return all
}

func messageValues() map[string]valueFunc {
	return map[string]valueFunc{
		"esp": text(func(m *moment, _ population.Draw) string {
			return population.Pick(m.pop.Draw("esp"), []string{"SparkPost", "SendGrid", "Amazon SES"})
		}),
		"from_domain": text(func(m *moment, _ population.Draw) string { return "mail." + m.pop.Domain }),
		"sending_ip":  ipv4,
		"recipient_domain": quoted(func(dst []byte, m *moment, _ population.Draw) []byte {
			m.scratch = m.User.AppendEmail(m.scratch[:0])
			_, domain, _ := bytes.Cut(m.scratch, []byte{'@'})
			return append(dst, domain...)
		}),
		"link_id": quoted(func(dst []byte, m *moment, d population.Draw) []byte { // stays with the link
			return population.AppendHex(dst, m.pop.Draw("links").With(uint64(d.N(40))), 24)
		}),
		"conversion_behavior": escaped(among(
			filled(`{"type":"Makes Purchase","window":259200,"product":$}`, with(1, productName)),
			filled(`{"type":"Starts Session","window":86400,"app_ids":[$]}`, text(func(m *moment, _ population.Draw) string { return m.User.App.ID })),
			fixed(`{"type":"Performs Custom Event","window":259200,"custom_event_name":"checkout_finished"}`),
		)),
		"message_extras": escaped(filled(`{"template":$,"segment":$,"language":$}`,
			hex("tpl_", 8), with(1, oneOf("new", "loyal", "lapsed \"90 days\"", "VIP ⭐")), language)),
		"live_activity_event_type": text(func(m *moment, d population.Draw) string {
			if m.flip("live activity runs", 60) {
				return []string{"update", "end"}[d.N(2)]
			}
			return "start"
		}),
	}
}

// ipv4 is an address from the blocks that RFC 5737 keeps for documentation.
var ipv4 = filled(`"$$"`, with(1, among(fixed("192.0.2."), fixed("198.51.100."), fixed("203.0.113."))), whole(1, 254))

// link leads to a product, with the campaign's tracking.
var link = filled(`"https://www.$/products/$?utm_source=braze&utm_medium=$"`,
	raw(func(m *moment, _ population.Draw) string { return m.pop.Domain }),
	raw(func(m *moment, d population.Draw) string { return population.Pick(d, m.pop.Products).ID }),
	raw(func(m *moment, _ population.Draw) string { return string(m.channel) }))

// group is the subscription group that a message was sent to.
func group(m *moment) *population.Group {
	if g, ok := m.pop.Groups[m.channel]; ok {
		return g
	}
	return m.pop.Groups[population.Email]
}

// dispatchID has 24 hex digits for a campaign, 32 for a Canvas.
var dispatchID = quoted(func(dst []byte, m *moment, d population.Draw) []byte {
	if m.Campaign != nil {
		return population.AppendHex(dst, d, 24)
	}
	return population.AppendHex(dst, d, 32)
})

// channelIdentifier is how the channel reaches the user.
var channelIdentifier = quoted(func(dst []byte, m *moment, _ population.Draw) []byte {
	switch m.channel {
	case population.Email:
		return m.User.AppendEmail(dst)
	case population.Push:
		return m.User.AppendPushToken(dst)
	case population.LINE:
		return appendLineID(dst, &m.User)
	default:
		return m.User.AppendPhone(dst)
	}
})

func appendLineID(dst []byte, u *population.User) []byte {
	return population.AppendHex(append(dst, 'U'), u.Draw("native_line_id"), 32)
}

// phoneValues are the fields of SMS, RCS, WhatsApp and LINE.
func phoneValues() map[string]valueFunc {
	sender := text(func(m *moment, _ population.Draw) string { return group(m).Sender })
	number := text(func(m *moment, _ population.Draw) string { return group(m).Number })
	return map[string]valueFunc{
		"from_phone_number":    number,
		"inbound_phone_number": number,
		"from_rcs_sender":      sender,
		"to_rcs_sender":        sender,
		"line_channel_id":      sender,
		"line_channel_name":    text(func(m *moment, _ population.Draw) string { return m.pop.Name + " official" }),
		"native_line_id":       userText(func(u *population.User, dst []byte) []byte { return appendLineID(dst, u) }),
		"bsuid": userText(func(u *population.User, dst []byte) []byte { // of a user at one business
			return population.AppendDigits(append(append(dst, u.Place.Country...), ".1"...), u.Draw("bsuid"), 16)
		}),
		"message_body": text(reply),
		// A medium that could not be kept is null, as Braze sends it.
		"media_urls": filled(`["https://media.example.com/$.jpg"$]`, func(dst []byte, _ *moment, d population.Draw) []byte {
			return population.AppendHex(dst, d, 24)
		}, with(1, raw(func(_ *moment, d population.Draw) string {
			if d.Chance(25) {
				return ",null"
			}
			return ""
		}))),
		"message_id":         messageID,
		"in_reply_to":        messageID,
		"flow_response_json": escaped(filled(`{"flow_token":$,"rating":$,"comment":"très bien"}`, hex("", 16), with(1, whole(1, 5)))),
	}
}

// messageID is WhatsApp's id of a message.
var messageID = quoted(func(dst []byte, _ *moment, d population.Draw) []byte {
	return appendRandom(append(dst, "wamid.HBgL"...), d, 36, base64+"+/")
})

// reply is what a person writes back.
func reply(m *moment, d population.Draw) string {
	if d.Chance(40) {
		return []string{"STOP", "START", "HELP", "Yes!", "👍", "¿Cuándo llega mi pedido?"}[d.With(1).N(6)]
	}
	return population.Pick(d.With(2), m.pop.Sentences)
}

// behaviorValues are the fields of what people do in the apps, of their profiles, and of
// webhooks that failed.
func behaviorValues() map[string]valueFunc {
	host := func(m *moment) string {
		return population.Pick(m.Draw.With(population.Key("host")), []string{"hooks1.example.com", "hooks2.example.com", "hooks3.example.com"})
	}
	where := func(m *moment) string {
		return population.Pick(m.Draw.With(population.Key("url_path")), []string{"/v1/orders", "/braze/callback", "/crm/contacts"})
	}
	return map[string]valueFunc{
		"host":         text(func(m *moment, _ population.Draw) string { return host(m) }),
		"url_path":     text(func(m *moment, _ population.Draw) string { return where(m) }),
		"endpoint_url": text(func(m *moment, _ population.Draw) string { return "https://" + host(m) + where(m) }),
		"http_status_code": integer(func(_ *moment, d population.Draw) int64 {
			return population.Pick(d, []int64{400, 401, 404, 429, 500, 503})
		}),
		// Every kind of JSON value, nested, as customers send them along with custom events.
		"custom_properties": filled(`{"basket_total":$,"category":$,"coupon":null,"gift":$,"item":$,"quantity":$,`+
			`"store":{"city":$,"floor":$},"tags":["sale","näher"],"visited_at":"$"}`,
			with(2, decimal(500, 90_000, 2)), text(func(m *moment, d population.Draw) string { return population.Pick(d, m.pop.Products).Category }),
			with(3, chance(10)), productName, with(1, whole(1, 5)), city, with(4, whole(-1, 4)),
			func(dst []byte, m *moment, _ population.Draw) []byte {
				return time.Unix(m.Time, 0).UTC().AppendFormat(dst, time.RFC3339)
			}),
		"purchase_properties": filled(`{"category":$,"colour":$,"name":$,"quantity":$,"shipping":{"method":"standard","days":[2,3]}}`,
			text(func(m *moment, _ population.Draw) string { return product(m).Category }), oneOf("red", "blå", "grün", "黒"),
			text(func(m *moment, _ population.Draw) string { return product(m).Name }), with(1, whole(1, 3))),
		"product_id": text(func(m *moment, _ population.Draw) string { return product(m).ID }),
		"currency":   text(func(m *moment, _ population.Draw) string { return m.User.Place.Currency }),
		"price":      price,
		"custom_attributes": escaped(filled(`{"loyalty_tier":$,"favourite_shop":$,"points":$}`,
			oneOf("bronze", "silver", "gold"), city, with(1, whole(0, 4999)))),
		"time_ms": integer(func(m *moment, d population.Draw) int64 { return m.Time*1000 + int64(d.N(1000)) }),
		// The same for a user's sessions within half an hour.
		"session_id": drawn(func(m *moment) population.Draw { return m.User.Draw("session").With(uint64(m.Time / 1800)) }, uuid),
		"latitude": func(dst []byte, m *moment, d population.Draw) []byte {
			return appendFixed(dst, int64(m.User.Place.Lat+d.Between(-80_000, 80_000)), 6)
		},
		"longitude": func(dst []byte, m *moment, d population.Draw) []byte {
			return appendFixed(dst, int64(m.User.Place.Lon+d.Between(-80_000, 80_000)), 6)
		},
	}
}

var productName = text(func(m *moment, d population.Draw) string { return population.Pick(d, m.pop.Products).Name })

// product is the product of a purchase.
func product(m *moment) *population.Product {
	return pick(m.Draw.With(population.Key("product_id")), m.pop.Products)
}

// price is in units of the user's currency; yen and won have no hundredths.
func price(dst []byte, m *moment, _ population.Draw) []byte {
	return appendFixed(dst, int64(product(m).Cents), m.User.Place.Decimals)
}

// agentValues are the fields of the agent console: calls of models and tools.
func agentValues() map[string]valueFunc {
	return map[string]valueFunc{
		"agent_id":          text(func(m *moment, _ population.Draw) string { return agent(m).ID }),
		"agent_name":        text(func(m *moment, _ population.Draw) string { return agent(m).Name }),
		"model_provider":    text(func(m *moment, _ population.Draw) string { return agent(m).Provider }),
		"model_name":        text(func(m *moment, _ population.Draw) string { return agent(m).Model }),
		"prompt_tokens":     whole(promptLow, promptHigh),
		"completion_tokens": whole(completionLow, completionHigh),
		"total_tokens": integer(func(m *moment, _ population.Draw) int64 {
			prompt := m.Draw.With(population.Key("prompt_tokens")).Between(promptLow, promptHigh)
			return int64(prompt + m.Draw.With(population.Key("completion_tokens")).Between(completionLow, completionHigh))
		}),
		"is_error": flipped("is_error", 5),
		"input": text(func(m *moment, d population.Draw) string {
			return "Write for " + m.User.First + ": " + population.Pick(d, m.pop.Sentences)
		}),
		"output": text(func(m *moment, d population.Draw) string { return population.Pick(d, m.pop.Sentences) }),
		"agentconsole.ToolInvocation/tool_arguments": escaped(filled(`{"query":$,"limit":5}`, productName)),
	}
}

func agent(m *moment) *population.Agent {
	return pick(m.Root.With(population.Key("agent_id")), m.pop.Agents)
}

const (
	promptLow, promptHigh         = 200, 4000
	completionLow, completionHigh = 20, 900
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
	return slices.Contains([]string{liquidAbort, "exhausted_cc_retries", "exhausted_link_shortening_retries",
		"blacklisted_media_url", "blocked_media_url", "invalid_media_url"}, abortType(m))
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
