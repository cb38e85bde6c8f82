package journey_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/currentsbridge/currentsbridge/mockbraze/journey"
	"github.com/currentsbridge/currentsbridge/mockbraze/population"
	"github.com/currentsbridge/currentsbridge/mockbraze/scenario"
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
		Seed:       1,
		Stream:     0, // another stream has other ids
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

func ExampleNewStories() {
	glossary, err := schemas.Load()
	if err != nil {
		panic(err)
	}
	told, err := scenario.Builtin("quiet")
	if err != nil {
		panic(err)
	}
	stories, err := journey.NewStories(journey.StoriesConfig{
		Glossary: glossary, Scenario: told, Seed: 1, Types: []string{"users.canvas.Entry", "users.messages.sms.*"},
		Population: journey.People(1, told), Stream: 0, Start: journey.Reference(),
	})
	if err != nil {
		panic(err)
	}
	var event []byte
	for range 4 {
		var eventType string
		var at time.Time
		event, eventType, at = stories.Next(event[:0])
		fmt.Println(at.Format(time.DateTime), eventType, json.Valid(event))
	}
	// Output:
	// 2026-06-01 00:07:20 users.canvas.Entry true
	// 2026-06-01 00:30:51 users.canvas.Entry true
	// 2026-06-01 00:54:19 users.canvas.Entry true
	// 2026-06-01 00:55:19 users.canvas.Entry true
}

func ExampleDrifter() {
	drifter := journey.Drifter{Share: scenario.Whole, Seed: 1}
	event := []byte(`{"event_type":"users.canvas.Entry","id":"1","time":1,"user":{},"properties":{"a":1}}`)
	drifted, eventType := drifter.Append(event, 0, "users.canvas.Entry", 3)
	fmt.Println(eventType)
	fmt.Println(string(drifted))
	// Output:
	// users.canvas.Entry
	// {"event_type":"users.canvas.Entry","id":"1","time":1,"user":{},"properties":{"a":1,"attempt_ms":12}}
}

// Where everybody has left and nobody comes, it is said what to change.
func ExampleStories_Err() {
	glossary, err := schemas.Load()
	if err != nil {
		panic(err)
	}
	told, err := scenario.Parse("dead.yaml", []byte("users: 20\npace: 0%\ncampaigns: []"))
	if err != nil {
		panic(err)
	}
	stories, err := journey.NewStories(journey.StoriesConfig{Glossary: glossary, Scenario: told, Seed: 1})
	if err != nil {
		panic(err)
	}
	events := 0
	for stories.Err() == nil {
		if _, eventType, _ := stories.Next(nil); eventType != "" {
			events++
		}
	}
	_, eventType, _ := stories.Next(nil) // it stays so
	fmt.Println(events > 100, errors.Is(stories.Err(), journey.ErrOver), eventType == "")
	fmt.Println(stories.Err())
	// Output:
	// true true true
	// none of the wanted event types happens any more to the 20 people of the scenario: give it more users, more newcomers (starts.newcomers, with a pace above 0%), or ask for more types
}
