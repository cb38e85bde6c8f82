package schemas_test

import (
	"fmt"
	"strings"

	"github.com/currentsbridge/currentsbridge/schemas"
)

func ExampleLoad() {
	g := must(schemas.Load())
	open, _ := g.Event("users.messages.email.Open")
	fmt.Println(open.Name, "is", open.RudderName)
	for _, f := range open.Properties {
		if f.Required {
			fmt.Println("always there:", f.Name, f.Type)
		}
	}
	// Output:
	// users.messages.email.Open is Email Opened
	// always there: email_address string
}

// A glossary of one's own is read with LoadFile; an empty path is the built-in
// one.
func ExampleLoadFile() {
	g := must(schemas.LoadFile(""))
	fmt.Println(g.Version())
	fmt.Println(len(g.Current()), "of", len(g.Events), "are current")
	send, _ := g.Event("users.messages.sms.InboundReceive")
	body, _ := schemas.FieldNamed(send.Properties, "message_body")
	fmt.Println(body.Name, body.PII, body.IsPersonal())

	raw := must(g.Encode())
	g = must(schemas.Parse(raw))
	made := must(g.Files())
	fmt.Println(len(made), "schemas")
	v := must(g.Validator())
	fmt.Println(v.Event([]byte(`{"event_type":"users.UserOrphan","id":"1","time":1}`)).Valid)
	// Output:
	// schema version 12 (2026-09-02), 102 current event types
	// 102 of 105 are current
	// message_body false true
	// 105 schemas
	// false
}

func ExampleValidator_Event() {
	v := must(schemas.NewValidator())
	fmt.Println("knows", v.Types()[0], "and others")

	verdict := v.Event([]byte(`{
		"event_type": "users.messages.email.Open", "id": "5f9a", "time": "today",
		"user": {"user_id": "u1"},
		"properties": {"email_address": "a@example.com", "opened_on": "a watch"}
	}`))
	fmt.Println(verdict.Type, "valid:", verdict.Valid)
	for _, f := range verdict.Errors {
		fmt.Println("invalid:", f.Path, f.Rule, f.Detail)
	}
	for _, f := range verdict.Drift {
		fmt.Println("drift:", f.Path, f.Rule)
	}
	// Output:
	// knows agentconsole.AgentExecuted and others
	// users.messages.email.Open valid: false
	// invalid: /time type expected integer, got string "today"
	// drift: /properties/opened_on unknown_field
}

func ExampleValidator_Message() {
	v := must(schemas.NewValidator())
	verdict := v.Message([]byte(`{"type": "track", "event": "Email Opened", "userId": " "}`))
	for _, f := range verdict.Errors {
		fmt.Printf("%q %s: %s\n", f.Path, f.Rule, f.Detail)
	}
	// Output:
	// "" anyOf: expected a userId or an anonymousId that is neither null nor blank, got neither
}

func ExampleSchema() {
	for _, name := range schemas.Names() {
		if strings.HasPrefix(name, "rudder/") {
			fmt.Println(name)
		}
	}
	raw, ok := schemas.Schema("braze/users.UserDeleteRequest")
	fmt.Println(ok, len(raw) > 0)
	// Output:
	// rudder/alias
	// rudder/group
	// rudder/identify
	// rudder/page
	// rudder/screen
	// rudder/track
	// true true
}

// Rules that are no keyword of a JSON Schema have names of their own.
func ExampleFinding() {
	v := must(schemas.NewValidator())
	fmt.Println(v.Event([]byte(`{`)).Errors[0].Rule == schemas.RuleInvalidJSON)
	for _, f := range v.Event([]byte(`{"event_type":"new","id":"1","time":1,"beside":2}`)).Drift {
		fmt.Println(f.Path, f.Rule == schemas.RuleUnknownEventType, f.Rule == schemas.RuleUnknownField)
	}
	// Output:
	// true
	// /event_type true false
	// /beside false true
}

// must is for examples: a program handles the error.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
