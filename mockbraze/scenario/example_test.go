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
	fmt.Println(errors.As(err, &mistakes), mistakes.List[0].Line, mistakes.List[0].Key)
	fmt.Println(err)
	// Output:
	// mine 5000 60% 1m..2h true
	// true
	// true 2 quiet_hours.from
	// bad.yaml:2: quiet_hours.from: "22h" is no time of day: write it as 09:30
	// bad.yaml:3: pace: "quick" is no share: write it in percent, such as 12% or 0.5%
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
		}
	}
	start := scenario.KnownStarts()[0]
	fmt.Println(start.Name, start.PerHour)
	fmt.Println(scenario.MaxUsers, scenario.MaxCampaigns)
	// Output:
	// delivered → opened: 35% after 20s..36h (assumption, of the order of published industry averages; not checked against a source)
	// sessions 2500
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
