// Package scenario says what happens in the fake Braze's workspace, in YAML that
// docs/mockbraze.md describes. Every mistake in a file is named with its line. All
// numbers are whole inside (parts per million, seconds), so that a scenario means the
// same on every machine.
package scenario

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/template"

	"github.com/currentsbridge/currentsbridge/internal/fieldtransform"
	"github.com/currentsbridge/currentsbridge/internal/population"
)

// Scenario is what happens. Built-in ones come from Builtin, others from Load. Its
// users do not change it, so several may share it.
type Scenario struct {
	Name              string `yaml:"-"`
	About             string // for people
	Users             uint64
	WithoutExternalID Share      `yaml:"share_without_external_id"` // whole percents
	Pace              Pace       // multiplies all that is counted an hour; Whole is once
	Hours             Hours      // weigh all that is counted an hour, in the user's own time zone
	Quiet             Quiet      `yaml:"quiet_hours"`
	ConversionWindow  Seconds    `yaml:"conversion_window"` // after a send, for a purchase or session
	Starts            Starts     // of each of KnownStarts, on an average day
	Campaigns         []Campaign // that run, besides those shown in an app
	Outcomes          Outcomes   // has every name of KnownOutcomes
	Rough             Rough      `yaml:"rough_edges"`
	// Transforms are field transformations, by the name of a string field.
	Transforms map[string]fieldtransform.Transform `yaml:"field_transformations"`
}

// Hours are weights of the hours of a day.
type Hours [24]int

// Starts are how many of each thing begin an hour.
type Starts map[string]Count

// Count is how many of a thing begin an hour.
type Count int

// Quiet is a time of day, local to the user, in which nothing is sent on the Channels:
// messages wait for its end. From equal to To means never.
type Quiet struct {
	From, To Clock
	Channels []population.Channel // of SendingChannels
}

// Campaign is one campaign. Either PerHour is set (a triggered one), or Every
// (one that goes to many at once).
type Campaign struct {
	Channel  population.Channel // of SendingChannels
	Name     string             // instead of that of the workspace
	PerHour  Count              `yaml:"per_hour"`
	Every    Seconds            // whole days
	At       Clock
	Local    bool    // At is in the time zone of each user, not UTC
	Over     Seconds // how long it takes to reach all
	Audience Share
}

// Rough are the rough edges of a stream. The zero value has none.
type Rough struct {
	Repeats Outcome // events that are sent again, byte for byte, some time later
	Late    Outcome // events of devices that were offline, sent some time after they happened
	Renames Renames
	Drift   Share // of events with a field or a type that is new
	Huge    Share // of custom events of nearly 900 KB
	Strange Share // of free objects with unusual, but legal keys and values
}

// Renames is how often each thing is renamed (0: never), and for how long after that its
// name may be null or the old one.
type Renames struct{ Every, For Seconds }

//go:embed builtin/*.yaml
var builtin embed.FS

// Default is the scenario that others are based on.
const Default = "steady"

// Names lists the built-in scenarios.
func Names() []string { return []string{"steady", "flash-sale", "newsletter", "quiet"} }

// Builtin returns a built-in scenario; the error lists those there are.
func Builtin(name string) (*Scenario, error) {
	if !slices.Contains(Names(), name) {
		return nil, fmt.Errorf("there is no scenario %q: it is %s, or a file", name, strings.Join(Names(), ", "))
	}
	text, err := builtin.ReadFile("builtin/" + name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("scenario %s: %w", name, err)
	}
	return Parse(name+".yaml", text)
}

// Load reads the scenario with a built-in name, or else the file at that path.
func Load(nameOrPath string) (*Scenario, error) {
	text, err := os.ReadFile(nameOrPath)
	if slices.Contains(Names(), nameOrPath) || os.IsNotExist(err) && !strings.ContainsAny(nameOrPath, "./\\") {
		return Builtin(nameOrPath) // which says what there is
	}
	if err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	return Parse(nameOrPath, text)
}

//go:embed scenario.yaml.tmpl
var yamlText string

// YAML writes the whole scenario, every value with what it means and where it
// comes from. Parse reads it back.
func (s *Scenario) YAML() ([]byte, error) {
	list := func(v any) string { return strings.ReplaceAll(fmt.Sprint(v), " ", ", ") }
	page, err := template.New("scenario").Funcs(template.FuncMap{"list": list}).Parse(yamlText)
	if err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	var out bytes.Buffer
	err = page.Execute(&out, struct {
		*Scenario
		Default       string
		KnownStarts   []Start
		KnownOutcomes []Known
	}{s, Default, KnownStarts(), KnownOutcomes()})
	return out.Bytes(), err
}

// Start is something that begins without a cause.
type Start struct {
	Name    string
	What    string // in words
	PerHour Count  // in steady
}

// KnownStarts lists the starts, in the order in which they are written. All numbers
// are assumptions.
func KnownStarts() []Start {
	return []Start{
		{"sessions", "people who open the app or the site of themselves", 2500},
		{"newcomers", "people who come for the first time; each takes the place of one who left", 40},
		{"canvas_entries", "people who enter a Canvas", 400},
		{"live_activities", "Live Activities on iPhones", 40},
		{"profile_updates", "profiles changed by API, import or ingestion", 300},
		{"opt_ins", "confirmations of the e-mail subscription", 20},
		{"preferences", "subscription groups joined or left in the preference center", 20},
		{"agents", "runs of agents outside of a Canvas", 60},
		{"uninstalls", "apps removed", 30},
		{"orphans", "anonymous profiles merged into another", 15},
		{"deletions", "requests to delete a profile", 4},
	}
}

// defaults is what Default itself is based on.
func defaults() *Scenario {
	s := &Scenario{Starts: make(Starts), Outcomes: make(Outcomes), Transforms: make(map[string]fieldtransform.Transform)}
	for _, start := range KnownStarts() {
		s.Starts[start.Name] = start.PerHour
	}
	for _, known := range KnownOutcomes() {
		s.Outcomes[known.Name] = known.Outcome
	}
	return s
}

// Outcome is how likely something follows from something else, and how long after it.
// The Share is of those to whom the cause happened, and none of the outcomes before
// this one that exclude it.
type Outcome struct {
	Share Share
	After Span
}

// String writes the Outcome as YAML.
func (o Outcome) String() string { return fmt.Sprintf("{share: %s, after: %s}", o.Share, o.After) }

// Outcomes are all outcomes, by group and name, as in email.open.
type Outcomes map[string]Outcome

// Known is an outcome that the plot has, with the values of the scenario steady.
type Known struct {
	Name string
	What string // in words
	Outcome
	Source       string // of the share; all times are assumptions
	Group, Short string // the parts of Name
}

// Times in seconds.
const (
	mins = 60
	hour = 60 * mins
	day  = 24 * hour
)

// table has a row for each outcome as docs/mockbraze-rates.md has it. A star says
// that the share is of the order of published averages.
//
//go:embed outcomes.txt
var table string

// KnownOutcomes lists every outcome, in the order in which they are written.
func KnownOutcomes() (all []Known) {
	for row := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(row, "| \n"), " | ")
		k := Known{Name: strings.Trim(cells[0], "`"), What: cells[1], Source: "assumption"}
		k.Group, k.Short, _ = strings.Cut(k.Name, ".")
		share, average := strings.CutSuffix(cells[2], "*")
		if average {
			k.Source = "assumption, of the order of published industry averages; not checked against a source"
		}
		var err error
		if k.Share, err = ParseShare(share); err == nil {
			k.After, err = ParseSpan(cells[3])
		}
		if err != nil {
			panic("outcomes.txt: " + row + err.Error())
		}
		all = append(all, k)
	}
	return all
}
