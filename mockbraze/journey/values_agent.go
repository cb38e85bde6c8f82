package journey

import (
	"strconv"

	"github.com/currentsbridge/currentsbridge/mockbraze/population"
)

// agentValues are the fields of the agent console: calls of models and tools.
func agentValues() map[string]valueFunc {
	const executed, tool = "agentconsole.AgentExecuted/", "agentconsole.ToolInvocation/"
	return map[string]valueFunc{
		"agent_id":          text(func(m *moment, _ population.Draw) string { return agent(m).ID }),
		"agent_name":        text(func(m *moment, _ population.Draw) string { return agent(m).Name }),
		"model_provider":    text(func(m *moment, _ population.Draw) string { return agent(m).Provider }),
		"model_name":        text(func(m *moment, _ population.Draw) string { return agent(m).Model }),
		"duration:integer":  whole(80, 20_000),
		"cache_hit":         chance(30),
		"cache_tokens":      whole(0, 400),
		"prompt_tokens":     whole(promptLow, promptHigh),
		"completion_tokens": whole(completionLow, completionHigh),
		"reasoning_tokens":  whole(0, 300),
		"total_tokens":      totalTokens,
		"is_error":          flipped("is_error", 5),
		executed + "error":  oneOf("The model did not answer in time", "Rate limit of the provider was reached"),
		"input": text(func(m *moment, d population.Draw) string {
			return "Write for " + m.user.First + ": " + population.Pick(d, m.pop.Sentences)
		}),
		"output":                text(func(m *moment, d population.Draw) string { return population.Pick(d, m.pop.Sentences) }),
		"invocation_id":         uuid,
		"invocation_source":     oneOf("canvas_step", "catalog", "preview"),
		"llm_owned_by_customer": chance(25),
		"request_id":            uuid,
		"provider_request_id":   hexAfter("req_", 24),
		"tool_name":             oneOf("get_user_attributes", "search_catalog", "get_current_time"),
		"tool_call_id":          hexAfter("call_", 24),
		tool + "tool_arguments": escaped(toolArguments),
	}
}

// agent is who did it.
func agent(m *moment) *population.Agent {
	return &m.pop.Agents[m.root.With(population.Key("agent_id")).N(len(m.pop.Agents))]
}

func hexAfter(prefix string, n int) valueFunc {
	return func(dst []byte, _ *moment, d population.Draw) []byte {
		dst = append(append(dst, '"'), prefix...)
		return append(population.AppendHex(dst, d, n), '"')
	}
}

// totalTokens is what the prompt and the completion add up to.
func totalTokens(dst []byte, m *moment, _ population.Draw) []byte {
	prompt := m.draw.With(population.Key("prompt_tokens")).Between(promptLow, promptHigh)
	completion := m.draw.With(population.Key("completion_tokens")).Between(completionLow, completionHigh)
	return strconv.AppendInt(dst, int64(prompt+completion), 10)
}

const (
	promptLow, promptHigh         = 200, 4000
	completionLow, completionHigh = 20, 900
)

func toolArguments(dst []byte, m *moment, d population.Draw) []byte {
	dst = append(dst, `{"query":`...)
	dst = appendString(dst, population.Pick(d, m.pop.Products).Name)
	return append(dst, `,"limit":5}`...)
}

// webhookValues are the fields of a webhook that failed.
func webhookValues() map[string]valueFunc {
	host := func(m *moment) string {
		return "hooks" + string(rune('1'+m.draw.With(population.Key("host")).N(3))) + ".example.com"
	}
	where := func(m *moment) string {
		return []string{"/v1/orders", "/braze/callback", "/crm/contacts"}[m.draw.With(population.Key("url_path")).N(3)]
	}
	return map[string]valueFunc{
		"host":         text(func(m *moment, _ population.Draw) string { return host(m) }),
		"url_path":     text(func(m *moment, _ population.Draw) string { return where(m) }),
		"endpoint_url": text(func(m *moment, _ population.Draw) string { return "https://" + host(m) + where(m) }),
		"http_status_code": func(dst []byte, _ *moment, d population.Draw) []byte {
			return append(dst, [...]string{"400", "401", "404", "429", "500", "503"}[d.N(6)]...)
		},
		"content_length":         whole(2, 4000),
		"is_terminal":            chance(30),
		"retry_count":            whole(0, 5),
		"raw_response":           oneOf(`{"error":"unknown contact"}`, "Service Unavailable", "<html><body>502 Bad Gateway</body></html>"),
		"webhook_duration":       whole(20, 30_000),
		"webhook_failure_source": oneOf("endpoint", "timeout", "connection"),
	}
}
