package schemas_test

import (
	"fmt"
	"slices"

	"github.com/currentsbridge/currentsbridge/schemas"
)

func ExampleLoad() {
	g := must(schemas.Load())
	fmt.Println(g.Version())
	fmt.Println(len(g.Current()), "of", len(g.Events), "are current")
	open, _ := g.Event("users.messages.email.Open")
	address, _ := schemas.FieldNamed(open.Properties, "email_address")
	fmt.Println(open.Name, "is", open.RudderName, address.Type, address.Required, address.IsPersonal())
	// Output:
	// schema version 12 (2026-09-02), 102 current event types
	// 102 of 105 are current
	// users.messages.email.Open is Email Opened string true true
}

// A glossary of one's own is read with LoadFile; an empty path is the built-in
// one.
func ExampleLoadFile() {
	g := must(schemas.LoadFile(""))
	g = must(schemas.Parse(must(g.Encode())))
	fmt.Println(len(must(g.Files())), "schemas")
	v := must(g.Validator())
	fmt.Println(v.Event([]byte(`{"event_type":"users.UserOrphan","id":"1","time":1}`)).Valid)
	// Output:
	// 105 schemas
	// false
}

func ExampleValidator_Event() {
	v := must(schemas.NewValidator())
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
		fmt.Println("drift:", f.Path, f.Rule == schemas.RuleUnknownField)
	}
	fmt.Println(v.Event([]byte(`{`)).Errors[0].Rule == schemas.RuleInvalidJSON)
	fmt.Println(v.Event([]byte(`{"event_type":"new","id":"1","time":1}`)).Drift[0].Rule == schemas.RuleUnknownEventType)
	// Output:
	// users.messages.email.Open valid: false
	// invalid: /time type expected integer, got string "today"
	// drift: /properties/opened_on true
	// true
	// true
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
	names := schemas.Names()
	fmt.Println(len(names), slices.Contains(names, "rudder/track"))
	raw, ok := schemas.Schema("braze/users.UserDeleteRequest")
	fmt.Println(ok, len(raw) > 0)
	// Output:
	// 111 true
	// true true
}

// must is for examples: a program handles the error.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
