package scenario_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/currentsbridge/currentsbridge/mockbraze/scenario"
)

func ExampleParse() {
	mine, err := scenario.Parse("mine.yaml", []byte(`
base: newsletter
users: 5000
outcomes: {email: {open: {share: 60%, after: 1m..2h}}}
`))
	if err != nil {
		panic(err)
	}
	open := mine.Outcomes["email.open"]
	fmt.Println(mine.Name, mine.Users, open.Share, open.After, len(mine.Campaigns) > 0)
	fmt.Println(strings.Contains(string(mine.YAML()), "users: 5000"))

	_, err = scenario.Parse("bad.yaml", []byte("users: 5000\nquiet_hours: {from: \"22h\"}\npace: quick"))
	var mistakes *scenario.MistakesError
	fmt.Println(errors.As(err, &mistakes), mistakes.File, mistakes.List[0].Line, mistakes.List[0].Key, mistakes.Error() == err.Error())
	fmt.Println(mistakes.List[0].Text)
	fmt.Println(err)
	// Output:
	// mine 5000 60% 1m..2h true
	// true
	// true bad.yaml 2 quiet_hours.from true
	// "22h" is no time of day: write it as 09:30
	// bad.yaml:2: quiet_hours.from: "22h" is no time of day: write it as 09:30
	// bad.yaml:3: pace: "quick" is no share: write it in percent, such as 12% or 0.5%
}

// A scenario may also be put together in Go.
func ExampleScenario() {
	base, err := scenario.Builtin(scenario.Default)
	if err != nil {
		panic(err)
	}
	mine := *base
	mine.Name, mine.About, mine.Users, mine.WithoutExternalID = "mine", "a shop at night", 300, scenario.Whole/4
	mine.Hours, mine.ConversionWindow = [24]int{22: 1, 23: 3}, 3600
	mine.Starts = map[string]int{"sessions": 100}
	mine.Quiet = scenario.Quiet{From: 6 * 60, To: 20*60 + 30, Channels: []string{"push", "sms"}}
	mine.Campaigns = []scenario.Campaign{
		{Channel: "email", Name: "Midnight", Every: 24 * 3600, At: 23 * 60, Local: true, Over: 3600, Audience: scenario.Whole / 2},
		{Channel: "push", PerHour: 5},
	}
	mine.Rough = scenario.Rough{
		Repeats: scenario.Outcome{Share: scenario.Whole / 100, After: scenario.Span{Min: 1, Max: 60}},
		Late:    scenario.Outcome{Share: scenario.Whole / 50, After: scenario.Span{Min: 60, Max: 3600}},
		Drift:   scenario.Whole / 1000, Huge: 0, Strange: scenario.Whole / 10, RenameEvery: 24 * 3600, RenameFor: 60,
	}
	// Written out and read again it is the same.
	again, err := scenario.Parse("mine.yaml", mine.YAML())
	if err != nil {
		panic(err)
	}
	fmt.Println(again.Name, again.About, again.Users, again.WithoutExternalID.String(), again.Hours[23], again.ConversionWindow, again.Starts["sessions"])
	fmt.Println(again.Quiet.From, again.Quiet.To.String(), again.Quiet.Channels)
	for _, c := range again.Campaigns {
		fmt.Println(c.Channel, c.Name, c.PerHour, c.Every, c.At, c.Local, c.Over, c.Audience)
	}
	r := again.Rough
	fmt.Println(r.Repeats.After, r.Late.After.String(), r.Late.After.Min, r.Drift, r.Huge, r.Strange, r.RenameEvery, r.RenameFor)
	// Output:
	// mine a shop at night 300 25% 3 3600 100
	// 06:00 20:30 [push sms]
	// email Midnight 0 86400 23:00 true 3600 50%
	// push  5 0 00:00 false 1800 100%
	// 1s..1m 1m..1h 60 0.1% 0% 10% 86400 60
}

func ExampleLoad() {
	path := filepath.Join(os.TempDir(), "no-such-scenario.yaml")
	_, err := scenario.Load(path)
	fmt.Println(errors.Is(err, os.ErrNotExist))
	sale, err := scenario.Load("flash-sale")
	fmt.Println(sale.Name, sale.Users, sale.Pace, sale.Campaigns[0].Name, sale.Campaigns[0].At, err)
	// Output:
	// true
	// flash-sale 200000 400% Flash sale starts now 00:00 <nil>
}

func ExampleBuiltin() {
	for _, name := range scenario.Names() {
		s, err := scenario.Builtin(name)
		if err != nil {
			panic(err)
		}
		fmt.Println(s.Name, s.Quiet.From, s.Rough.Repeats.Share, name == scenario.Default)
	}
	_, err := scenario.Builtin("loud")
	fmt.Println(err)
	// Output:
	// steady 22:00 0.2% true
	// flash-sale 23:00 1% false
	// newsletter 22:00 0.1% false
	// quiet 21:00 0% false
	// there is no scenario "loud": it is steady, flash-sale, newsletter, quiet, or a file
}

func ExampleKnownOutcomes() {
	for _, known := range scenario.KnownOutcomes() {
		if known.Name == "email.open" {
			fmt.Printf("%s → %s: %s after %s (%s)\n", known.From, known.To, known.Share, known.After, known.Source)
			fmt.Println(known.Outcome.Share == known.Share)
		}
	}
	start := scenario.KnownStarts()[0]
	fmt.Println(start.Name, start.PerHour, start.What)
	fmt.Println(scenario.MaxUsers, scenario.MaxCampaigns)
	// Output:
	// delivered → opened: 35% after 20s..36h (assumption, of the order of published industry averages; not checked against a source)
	// true
	// sessions 2500 people who open the app or the site of themselves
	// 100000000 1000
}

func ExampleParseShare() {
	share, err := scenario.ParseShare("12.5%")
	fmt.Println(share, uint32(share), share < scenario.Whole, err)
	span, err := scenario.ParseSpan("90s..2d")
	fmt.Println(span, span.Max, err)
	clock, err := scenario.ParseClock("09:30")
	fmt.Println(clock, int(clock), err)
	// Output:
	// 12.5% 125000 true <nil>
	// 90s..2d 172800 <nil>
	// 09:30 570 <nil>
}
