package journey_test

import (
	"fmt"

	"github.com/currentsbridge/currentsbridge/mockbraze/journey"
	"github.com/currentsbridge/currentsbridge/mockbraze/population"
	"github.com/currentsbridge/currentsbridge/schemas"
)

func ExampleNew() {
	glossary, err := schemas.Load()
	if err != nil {
		fmt.Println(err)
		return
	}
	rounds, err := journey.New(journey.Config{
		Glossary:   glossary,
		Population: population.New(population.Config{Seed: 1, Users: 100}),
		Types:      []string{"users.behaviors.Uninstall", "users.behaviors.app.*"},
		Reference:  journey.Reference(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(rounds.Types()), "event types")
	fmt.Println(string(rounds.Append(nil, 8)))
	fmt.Println(rounds.Type(8), string(rounds.AppendID(nil, 8)))
	fmt.Println(len(rounds.AppendFull(nil, 0)), "bytes with every field")
	// Output:
	// 4 event types
	// {"event_type":"users.behaviors.Uninstall","id":"b299a07f-9a40-470c-9411-e1dd9c926b8b","time":1780271991,"user":{"user_id":"665f11b9a5f1e5e4d8c3297c","external_user_id":null},"properties":{"app_id":"26f4e536-547e-46a2-b753-37bd8e0b16ac"}}
	// users.behaviors.Uninstall b299a07f-9a40-470c-9411-e1dd9c926b8b
	// 355 bytes with every field
}

func ExampleSelect() {
	glossary, err := schemas.Load()
	if err != nil {
		fmt.Println(err)
		return
	}
	names, err := journey.Select(glossary, []string{"users.messages.line.*"})
	fmt.Println(names, err)
	_, err = journey.Select(glossary, []string{"users.messages.fax.*"})
	fmt.Println(err)
	// Output:
	// [users.messages.line.Abort users.messages.line.Click users.messages.line.InboundReceive users.messages.line.Retry users.messages.line.Send] <nil>
	// no event type of the glossary matches "users.messages.fax.*"
}
