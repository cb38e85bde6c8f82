package schemas_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/schemas"
)

func load(t testing.TB) *schemas.Glossary {
	t.Helper()
	g, err := schemas.Load()
	require.NoError(t, err)
	return g
}

func field(t testing.TB, fields []schemas.Field, name string) schemas.Field {
	t.Helper()
	i := slices.IndexFunc(fields, func(f schemas.Field) bool { return f.Name == name })
	require.GreaterOrEqual(t, i, 0, name)
	return fields[i]
}

func event(t testing.TB, g *schemas.Glossary, name string) *schemas.EventType {
	t.Helper()
	e, ok := g.Event(name)
	require.True(t, ok, name)
	return e
}

// Braze adds event types and fields and takes none away, so these numbers only
// grow: what Braze had published by mid 2026.
func TestGlossaryLosesNothing(t *testing.T) {
	g := load(t)
	require.NotEmpty(t, g.Source)
	count := map[string]int{}
	for _, e := range g.Events {
		count["event types"]++
		count[e.Family]++
		if e.RudderName != "" {
			count["RudderStack names"]++
		}
		for _, f := range slices.Concat(e.User, e.Properties) {
			count["fields"]++
			count[f.Type]++
			if f.Required {
				count["required"]++
			}
			if f.PII {
				count["personal"]++
			}
		}
	}
	for what, least := range map[string]int{
		"event types": 96, "message": 78, "behavior": 13, "user": 3, "agent": 2, "RudderStack names": 22,
		"fields": 1805, "required": 219, "personal": 295,
		"string": 1729, "integer": 22, "number": 7, "boolean": 39, "object": 2, "array<string>": 6,
	} {
		require.GreaterOrEqual(t, count[what], least, what)
	}
}

func TestGlossaryIsSortedAndTyped(t *testing.T) {
	g := load(t)
	names := make([]string, 0, len(g.Events))
	types := []string{"string", "integer", "number", "boolean", "object", "array<string>"}
	for _, e := range g.Events {
		names = append(names, e.Name)
		for _, f := range slices.Concat(g.Envelope, e.User, e.Properties) {
			require.Contains(t, types, f.Type, "%s %s", e.Name, f.Name)
		}
	}
	require.True(t, slices.IsSorted(names), "event types are sorted, so that a new one has one place")
}

func TestGlossaryFacts(t *testing.T) {
	g := load(t)

	require.Equal(t, schemas.Field{Name: "id", Type: "string", Required: true, Format: "uuid"}, field(t, g.Envelope, "id"))
	require.Equal(t, "seconds since the epoch", field(t, g.Envelope, "time").Unit)

	open := event(t, g, "users.messages.email.Open")
	require.Equal(t, "Email Opened", open.RudderName)
	require.True(t, field(t, open.User, "user_id").Required)
	require.True(t, field(t, open.User, "user_id").PII)
	require.True(t, field(t, open.Properties, "email_address").PII)
	require.Equal(t, "email", field(t, open.Properties, "email_address").Format)
	require.Equal(t, []string{"true"}, field(t, open.Properties, "machine_open").Enum)

	require.True(t, event(t, g, "users.messages.newsfeedcard.Click").Legacy)
	require.True(t, event(t, g, "users.profile.Update").Beta)
	require.Empty(t, event(t, g, "agentconsole.ToolInvocation").User)
	_, ok := g.Event("users.messages.email.open")
	require.False(t, ok, "names are exact")
}

// One name can mean different things in different events.
func TestGlossaryFactsThatDependOnTheEvent(t *testing.T) {
	g := load(t)

	session := field(t, event(t, g, "users.behaviors.app.SessionEnd").Properties, "duration")
	require.Equal(t, "number", session.Type)
	require.Equal(t, "seconds", session.Unit)
	for _, name := range []string{"agentconsole.AgentExecuted", "agentconsole.ToolInvocation"} {
		agent := field(t, event(t, g, name).Properties, "duration")
		require.Equal(t, "integer", agent.Type)
		require.Equal(t, "milliseconds", agent.Unit)
	}

	global := field(t, event(t, g, "users.behaviors.subscription.GlobalStateChange").Properties, "subscription_status")
	require.Contains(t, global.Enum, "Opted In")
	group := field(t, event(t, g, "users.behaviors.subscriptiongroup.StateChange").Properties, "subscription_status")
	require.Equal(t, []string{"Subscribed", "Unsubscribed"}, group.Enum)
}

// A caller that changes its copy must not change another's.
func TestLoadReturnsItsOwnCopy(t *testing.T) {
	a, b := load(t), load(t)
	a.Events[0].Properties[0].Type = "changed"
	require.NotEqual(t, "changed", b.Events[0].Properties[0].Type)
}
