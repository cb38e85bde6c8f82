package scenario

import (
	_ "embed"
	"strings"
)

// Outcome is how likely something follows from something else, and how long
// after it.
type Outcome struct {
	// Share is of those to whom it could happen: those to whom the thing before
	// it happened, and none of the outcomes listed before it that exclude it.
	Share Share
	After Span
}

// Outcomes are all of them, by group and name, as in email.open.
type Outcomes map[string]Outcome

// Known is an outcome that the journeys know, as the scenario steady has it.
type Known struct {
	Name string
	// What says in words what leads to what.
	What string
	Outcome
	// Source says where the share comes from. Each is an assumption, as all times
	// are; some say that they are of the order of published averages.
	Source string
}

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
