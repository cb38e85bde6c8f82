package mapping_test

import (
	"errors"
	"fmt"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
)

func ExampleMapper_AppendMessage() {
	body := []byte(`{"events":[{"event_type":"users.behaviors.CustomEvent","id":"0b4f","time":1700000000,
		"user":{"external_user_id":"customer-7"},"properties":{"platform":"ios","name":"Seat chosen","order":9007199254740993}}]}`)
	var batch currents.Batch
	if err := batch.Scan(body); err != nil {
		fmt.Println(err)
		return
	}
	mapper := mapping.Plain()
	for _, e := range batch.Events {
		message := mapper.AppendMessage(nil, body[e.Start:e.End], "id for events that have none")
		fmt.Printf("%s\n", message)
	}
	// Output:
	// {"context":{"library":{"name":"unknown","version":"unknown"},"integration":{"name":"Braze"},"os":{"name":"ios"}},"integrations":{"Braze":false},"type":"track","event":"users.behaviors.CustomEvent","messageId":"0b4f","userId":"customer-7","timestamp":"2023-11-14T22:13:20.000Z","properties":{"name":"Seat chosen","order":9007199254740993}}
}

func ExampleNew() {
	watch, err := drift.New(drift.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	mapper, err := mapping.New(mapping.Options{
		Names: mapping.Names{Readable: true, Map: map[string]string{"users.behaviors.app.*": "App *"}},
		Filter: mapping.Filter{
			Deny:           []string{"users.canvas.*"},
			DenyProperties: []mapping.PropertyRule{{Property: "custom_properties.test", Values: []string{"true"}}},
		},
		Personal: mapping.Personal{
			Preset: mapping.Hash, Salt: []byte("keep me secret"),
			Fields: map[string]mapping.Action{"user_agent": mapping.Drop, "email_address": mapping.Keep},
		},
		Identify: true, Alias: true, Drift: watch,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, event := range []string{
		`{"event_type":"users.messages.email.Open","id":"1","user":{"user_id":"u"},"properties":{"email_address":"a@example.com","user_agent":"UA","opened_on":"a watch"}}`,
		`{"event_type":"users.behaviors.CustomEvent","id":"2","user":{"user_id":"u"},"properties":{"custom_properties":{"test":true}}}`,
	} {
		if !mapper.Keeps([]byte(event)) {
			fmt.Println("filtered")
			continue
		}
		fmt.Printf("%s\n", mapper.Append(nil, []byte(event), "id for events that have none"))
	}
	for _, item := range watch.List() {
		fmt.Println("new from Braze:", item.EventType, item.Field)
	}
	// Output:
	// {"context":{"library":{"name":"unknown","version":"unknown"},"integration":{"name":"Braze"}},"integrations":{"Braze":false},"type":"track","event":"Email Opened","messageId":"1","anonymousId":"u","traits":{"email":"a@example.com"},"properties":{"opened_on":"be6f625d2cca37e3cc78250947dcf0e20fcdaef6eeb0acfee71e4091a86cd587"}}
	// filtered
	// new from Braze: users.messages.email.Open properties.opened_on
}

func ExampleOptionError() {
	_, err := mapping.New(mapping.Options{
		Filter:   mapping.Filter{Deny: []string{"users.*", "["}},
		Personal: mapping.Personal{Preset: mapping.Hash},
	})
	fmt.Println(err)
	var first *mapping.OptionError
	if errors.As(err, &first) {
		fmt.Println("the first one is in", first.Option)
	}
	// Output:
	// filter.deny[1]: "[" is no pattern: * stands for any text, ? for one character, [ab] for one of them, and a backslash takes the next as it is
	// personal.salt: hash needs a salt: without one, addresses and numbers are found again by trying them all
	// the first one is in filter.deny[1]
}
