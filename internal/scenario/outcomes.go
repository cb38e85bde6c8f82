package scenario

import (
	_ "embed"
	"fmt"
	"strings"
)

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
