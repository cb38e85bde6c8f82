package backfill

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// notes is the progress file: a line of JSON that says which backfill it is
// about, and one for each batch that was stored, with how far its files were
// read. A line that is cut off, because the program was killed, does not count:
// its batch is handed over again, and the bridge knows the events by their ids.
type notes struct {
	file *os.File
	at   map[string]position // by path
	sum  entry
}

// about is the first line.
type about struct {
	Connector string    `json:"connector"`
	From      time.Time `json:"from,omitzero"`
	To        time.Time `json:"to,omitzero"`
	Type      string    `json:"type,omitempty"`
	AsType    string    `json:"as_type,omitempty"`
}

// position is how far a file was read.
type position struct {
	File   string `json:"file"`
	Size   int64  `json:"size"`
	Record int    `json:"record"`
	Done   bool   `json:"done,omitempty"`
}

// entry is a line: what was stored, and what was met on the way.
type entry struct {
	At          []position        `json:"at,omitempty"`
	Types       map[string]*Count `json:"types,omitempty"`
	Broken      int               `json:"broken,omitempty"`
	BrokenFiles int               `json:"broken_files,omitempty"`
	Finished    bool              `json:"finished,omitempty"` // all files were read
}

// place is how far a file was read since the last line.
func (e *entry) place(f file) *position {
	if last := len(e.At) - 1; last < 0 || e.At[last].File != f.path {
		e.At = append(e.At, position{File: f.path, Size: f.size})
	}
	return &e.At[len(e.At)-1]
}

// of returns the counts of an event type.
func (e *entry) of(eventType string) *Count {
	if e.Types == nil {
		e.Types = map[string]*Count{}
	}
	if e.Types[eventType] == nil {
		e.Types[eventType] = &Count{}
	}
	return e.Types[eventType]
}

// Count says what became of events. Accepted includes Filtered and Dead.
type Count struct {
	Accepted   int `json:"accepted"`
	Duplicates int `json:"duplicates"`
	Filtered   int `json:"filtered"`
	Dead       int `json:"dead"`
	NotChosen  int `json:"not_chosen"` // of another type or time than asked for
}

func (c *Count) add(other Count) {
	c.Accepted += other.Accepted
	c.Duplicates += other.Duplicates
	c.Filtered += other.Filtered
	c.Dead += other.Dead
	c.NotChosen += other.NotChosen
}

// openNotes opens the progress file and reads it.
func openNotes(cfg Config) (_ *notes, err error) {
	n := &notes{at: map[string]position{}}
	if n.file, err = os.OpenFile(cfg.Progress, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("progress: %w", err)
	}
	want := about{cfg.Connector, cfg.From.UTC(), cfg.To.UTC(), cfg.Type, cfg.AsType}
	good, err := n.read(want)
	if err == nil {
		err = n.file.Truncate(good)
	}
	if err == nil {
		_, err = n.file.Seek(good, io.SeekStart)
	}
	if err == nil && good == 0 {
		err = n.line(want)
	}
	if err != nil {
		n.file.Close()
		return nil, fmt.Errorf("progress: %s: %w", cfg.Progress, err)
	}
	return n, nil
}

// read reads the lines that are whole, and returns their length. Those of another
// backfill that has finished count for nothing.
func (n *notes) read(want about) (good int64, err error) {
	lines := bufio.NewReader(n.file)
	var was about
	var first []byte
	for {
		line, err := lines.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF) && (good == 0 || was == want):
			return good, nil
		case errors.Is(err, io.EOF) && n.sum.Finished:
			n.at, n.sum = map[string]position{}, entry{}
			return 0, nil
		case errors.Is(err, io.EOF):
			return 0, fmt.Errorf("it belongs to another backfill that has not finished, %s; name another file with --progress, or remove this one", bytes.TrimSpace(first))
		case err != nil:
			return 0, err
		case good == 0:
			first = line
			if err := json.Unmarshal(line, &was); err != nil || was.Connector == "" {
				return 0, errors.New("this is no progress file of a backfill; name another file with --progress")
			}
		default:
			var e entry
			if err := json.Unmarshal(line, &e); err != nil {
				return 0, fmt.Errorf("a line is broken: %w; remove the file to start from the beginning; what was stored within the window counts as duplicates", err)
			}
			n.take(&e)
		}
		good += int64(len(line))
	}
}

// take adds an entry to what is known.
func (n *notes) take(e *entry) {
	for _, p := range e.At {
		n.at[p.File] = p
	}
	for name, c := range e.Types {
		n.sum.of(name).add(*c)
	}
	n.sum.Finished = e.Finished
	n.sum.Broken += e.Broken
	n.sum.BrokenFiles += e.BrokenFiles
}

// write appends an entry.
func (n *notes) write(e *entry) error {
	if len(e.At) == 0 {
		return nil
	}
	n.take(e)
	if err := n.line(e); err != nil {
		return fmt.Errorf("progress: %w", err)
	}
	return nil
}

func (n *notes) line(v any) error {
	text, err := json.Marshal(v)
	if err == nil {
		_, err = n.file.Write(append(text, '\n'))
	}
	return err
}

// finish notes that all files were read.
func (n *notes) finish() error {
	if n.sum.Finished {
		return nil
	}
	return n.line(entry{Finished: true})
}

// Summary is what a backfill has done.
type Summary struct {
	Types map[string]*Count `json:"types"`
	Sum   Count             `json:"sum"`
	// Broken counts records, and BrokenFiles files that could not be read to
	// their end, that were skipped.
	Broken      int `json:"broken_records"`
	BrokenFiles int `json:"broken_files"`
	// LeftOut counts by event type and field what this run left out of events,
	// because the glossary does not have it.
	LeftOut map[string]map[string]int `json:"left_out"`
}

// Whole tells whether nothing was skipped.
func (s Summary) Whole() bool { return s.Broken == 0 && s.BrokenFiles == 0 }

func (n *notes) summary(leftOut map[string]map[string]int, unread int) Summary {
	s := Summary{Types: n.sum.Types, Broken: n.sum.Broken, BrokenFiles: n.sum.BrokenFiles + unread, LeftOut: leftOut}
	for _, c := range s.Types {
		s.Sum.add(*c)
	}
	return s
}

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
