package backfill

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Print writes the summary for people.
func (s Summary) Print(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "accepted\tduplicates\tfiltered\tdead\tnot chosen\t event type")
	row := func(name string, c *Count) {
		fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t %s\n", c.Accepted, c.Duplicates, c.Filtered, c.Dead, c.NotChosen, name)
	}
	for _, name := range sorted(s.Types) {
		row(name, s.Types[name])
	}
	row("all", &s.Sum)
	if err := table.Flush(); err != nil {
		return err
	}
	for _, name := range sorted(s.LeftOut) {
		fmt.Fprintf(to, "left out, not in the glossary: %s:", name)
		for _, field := range sorted(s.LeftOut[name]) {
			fmt.Fprintf(to, " %s (%d)", field, s.LeftOut[name][field])
		}
		fmt.Fprintln(to)
	}
	if !s.Whole() {
		fmt.Fprintf(to, "skipped: %d broken records, and %d files that could not be read to their end\n", s.Broken, s.BrokenFiles)
	}
	return nil
}
