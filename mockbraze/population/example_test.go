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

// What a workspace has, and what belongs to a person in it.
func ExamplePopulation() {
	p := population.New(population.Config{Seed: 1, Users: 100})
	fmt.Println(p.Name, p.Domain, len(p.GroupID), p.Users(), len(p.Products), len(p.Sentences))
	for _, platform := range []population.Platform{population.IOS, population.Android, population.Kindle, population.Web, population.TVOS, population.Roku} {
		fmt.Print(platform, " ", p.App(platform).SDKVersion, "; ")
	}
	fmt.Println(p.App(population.Web).Name)
	for _, channel := range []population.Channel{
		population.Push, population.InApp, population.ContentCard, population.Banner, population.RCS, population.WhatsApp,
		population.LINE, population.Webhook, population.FeatureFlag, population.LiveActivity,
	} {
		if c := p.Campaigns[channel][0]; c.Channel != channel || len(c.Variations) != 3 || c.ID == "" {
			fmt.Println("odd:", c)
		}
	}
	canvas := p.Canvases[0]
	fmt.Println(canvas.Variations[2].Name, canvas.Steps[1].Name, len(canvas.Steps[1].Variations), len(canvas.ExperimentID), canvas.Splits[0].Name)
	group, product, agent := p.Groups[population.LINE], p.Products[0], p.Agents[0]
	fmt.Println(group.Name, group.Number, len(group.Sender), product.Cents%100, product.Category != "", agent.Name, agent.Provider, agent.Model)

	u := p.User(3)
	at := u.Place
	fmt.Println(at.Country, at.Zone, at.Language, at.Locale, at.Currency, at.Decimals, at.Dial, at.DialDigits, at.Carrier, at.Lat, at.Lon)
	m := u.Model
	fmt.Println(m.OS, m.Version, m.Class, m.Resolution, m.Browser == "", m.UserAgent == "")
	fmt.Println(u.Gender, u.Tracked, len(u.AppendAdID(nil)), string(u.AppendBirthday(nil)), u.Created() > 0)
	// Choices that stay with the person, or with the workspace.
	again := p.User(3)
	fmt.Println(u.Draw("shoes").N(50) == again.Draw("shoes").N(50), p.Draw("logo").Bits() == p.Draw("slogan").Bits())
	fmt.Println(string(population.AppendObjectID(nil, u.Draw("order"), 0))[:8], len(population.AppendUpperUUID(nil, u.Draw("token"))))
	// Output:
	// Factual factual.example.com 36 100 200 200
	// ios 9.2.0; android 30.3.0; kindle 30.3.0; web 5.3.2; tvos 9.2.0; roku 1.0.4; Factual (web)
	// Variant 3 First message 2 36 Path 1
	// Marketing line +18885559548 10 99 true Subject line writer openai gpt-4o-mini
	// TR Europe/Istanbul tr tr-tr TRY 2 +90532 7 Turkcell 41008200 28978400
	// Android 13 mobile 1080x2340 false false
	// F false 36 1963-04-09 true
	// true false
	// 00000000 36
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
