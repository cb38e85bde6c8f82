package population_test

import (
	"fmt"

	"github.com/currentsbridge/currentsbridge/mockbraze/population"
)

func ExampleNew() {
	people := population.New(population.Config{Seed: 1, Users: 1_000_000, AnonymousPercent: 10})
	user := people.User(765_432)
	fmt.Println(user.First, user.Last, "of", user.Place.City)
	fmt.Println(string(user.AppendEmail(nil)), string(user.AppendPhone(nil)))
	fmt.Println(string(user.AppendID(nil)), user.Identified, string(user.AppendExternalID(nil)))
	fmt.Println(user.App.Platform, user.Model.Name, string(user.AppendDeviceID(nil)))

	viewer := people.UserOn(765_432, population.Roku, true)
	fmt.Println(viewer.Index, viewer.App.ID == people.App(population.Roku).ID)
	fmt.Println(len(people.Campaigns[population.Email]), len(people.Canvases), people.Groups[population.SMS].Channel)
	// Output:
	// Isaac Turner of Toronto
	// isaac.turner765432@example.net +14165510482
	// 62bd2ddceca95acc4b4325bf false customer-865432
	// ios iPad13,4 25DC6569-DDF5-4D66-8DAD-03B391833783
	// 765439 true
	// 10 8 sms
}

func ExampleDraw() {
	d := population.Draw(1).With(population.Key("coffee"))
	fmt.Println(d.Between(1, 6), d.Chance(50), population.Pick(d, []string{"black", "white", "sweet"}))
	fmt.Println(d.Between(1, 6), d.With(1).Between(1, 6), d.With(2).Between(1, 6))
	fmt.Println(string(population.AppendUUID(nil, d)), string(population.AppendHex(nil, d, 8)), string(population.AppendDigits(nil, d, 4)))
	// Output:
	// 3 true white
	// 3 3 2
	// cdb78bec-56fa-4803-be8e-4f4c875386ad 3084af65 0879
}

func ExamplePopulation_Person() {
	people := population.New(population.Config{Seed: 1})
	user, next := people.User(8), people.Person(8, 1)
	fmt.Println(string(user.AppendID(nil)), string(next.AppendID(nil)))
	fmt.Println(user.App.Platform == next.App.Platform, people.PlatformOf(8) == user.App.Platform)
	fmt.Println(people.PlaceOf(8, 1) == next.Place, next.Place.City, next.Place.Offset, len(people.Offsets()))
	for device := range user.Devices() {
		here := people.OnDevice(user, device)
		fmt.Println(here.App.Platform, here.Model.Name, string(here.AppendDeviceID(nil)))
	}
	renewed := user
	renewed.Tokens = 1
	fmt.Println(string(user.AppendPushToken(nil)) == string(renewed.AppendPushToken(nil)))
	fmt.Println(people.Campaign(population.Channels()[0], 3, "My own").Name)
	// Output:
	// 66eee7e78e4d9a1609d1f1a4 664bfddca1d4b2a6e8e745b7
	// true true
	// true London 60 13
	// android Pixel 8 ba56dcf2fa54a32e
	// kindle KFTRWI 1da3cc96ce510495
	// false
	// My own
}
