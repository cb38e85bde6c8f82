package backfill

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// Print writes the summary for people.
func (s Summary) Print(to io.Writer) {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "accepted\tduplicates\tfiltered\tdead\tnot chosen\t event type")
	row := func(name string, c *Count) {
		fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t %s\n", c.Accepted, c.Duplicates, c.Filtered, c.Dead, c.NotChosen, name)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Types)) {
		row(name, s.Types[name])
	}
	row("all", &s.Sum)
	table.Flush()
	for _, name := range slices.Sorted(maps.Keys(s.LeftOut)) {
		fmt.Fprintf(to, "left out, not in the glossary: %s:", name)
		for _, field := range slices.Sorted(maps.Keys(s.LeftOut[name])) {
			fmt.Fprintf(to, " %s (%d)", field, s.LeftOut[name][field])
		}
		fmt.Fprintln(to)
	}
	if !s.Whole() {
		fmt.Fprintf(to, "skipped: %d broken records, and %d files that could not be read to their end\n", s.Broken, s.BrokenFiles)
	}
}
