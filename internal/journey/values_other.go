package journey

import (
	"time"

	"github.com/currentsbridge/currentsbridge/internal/population"
)

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

// productName is that of any product.
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
		"agent_id":       text(func(m *moment, _ population.Draw) string { return agent(m).ID }),
		"agent_name":     text(func(m *moment, _ population.Draw) string { return agent(m).Name }),
		"model_provider": text(func(m *moment, _ population.Draw) string { return agent(m).Provider }),
		"model_name":     text(func(m *moment, _ population.Draw) string { return agent(m).Model }),
		"total_tokens":   integer(totalTokens),
		"is_error":       flipped("is_error", 5),
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

func totalTokens(m *moment, _ population.Draw) int64 {
	prompt := m.Draw.With(population.Key("prompt_tokens")).Between(promptLow, promptHigh)
	completion := m.Draw.With(population.Key("completion_tokens")).Between(completionLow, completionHigh)
	return int64(prompt + completion)
}

const (
	promptLow, promptHigh         = 200, 4000
	completionLow, completionHigh = 20, 900
)
