package mockbraze

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/fieldtransform"
	"github.com/currentsbridge/currentsbridge/internal/journey"
	"github.com/currentsbridge/currentsbridge/internal/journey/story"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// Rounds is the scenario by default: event types in turn, evenly.
const Rounds = "rounds"

// ErrScenario says that there is no such scenario.
var ErrScenario = errors.New("there is no such scenario")

// ErrOver says that a scenario makes no more events of the chosen types.
var ErrOver = story.ErrOver

// WithScenario makes a scenario known to the Currents and to the control API under
// a name, beside the built-in ones. The name Rounds is taken.
func WithScenario(name string, scenario *Scenario) Option {
	return func(s *Server) { s.scenarios[name] = scenario }
}

// Scenario says what happens in a workspace. docs/mockbraze.md describes its YAML.
type Scenario = scenario.Scenario

// LoadScenario reads the scenario with a built-in name (steady, flash-sale,
// newsletter, quiet), or else the YAML file at that path.
func LoadScenario(nameOrPath string) (*Scenario, error) { return scenario.Load(nameOrPath) }

// Scenarios lists the scenarios that the Server knows: Rounds, the built-in ones
// and those of WithScenario.
func (s *Server) Scenarios() []string {
	own := slices.Collect(maps.Keys(s.scenarios))
	all := slices.Compact(slices.Sorted(slices.Values(append(own, scenario.Names()...))))
	return append([]string{Rounds}, all...)
}

// source appends the next event; at is when it is there to be sent, zero where
// the source has no clock.
type source func(dst []byte) (event []byte, eventType string, at time.Time, err error)

// newStories are what happens in a scenario: one thing follows from another. Its
// people are the scenario's own.
func newStories(cfg story.Config) (source, error) {
	transforms := cfg.Scenario.Transforms
	if err := fieldtransform.Check(cfg.Glossary, transforms); err != nil {
		return nil, err
	}
	s, err := story.New(cfg)
	return func(dst []byte) ([]byte, string, time.Time, error) {
		event, name, at := s.Next(dst)
		if len(transforms) > 0 {
			event = append(event[:len(dst)], fieldtransform.Apply(event[len(dst):], transforms)...)
		}
		return event, name, at, s.Err()
	}, err
}

func newRounds(cfg journey.Config) (source, error) {
	r, err := journey.New(cfg)
	var next uint64
	return func(dst []byte) ([]byte, string, time.Time, error) {
		i := next
		next++
		return r.Append(dst, i), r.Type(i), time.Time{}, nil
	}, err
}

// feed is a source that goroutines may share.
type feed struct {
	mu   sync.Mutex
	next source
}

// take makes n events, or fewer and an error. A rare event may take a while, so ctx
// is checked before each.
func (f *feed) take(ctx context.Context, n int) ([]Event, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	events := make([]Event, 0, n)
	text := make([]byte, 0, 1024*n) // many events in one piece of memory
	for range n {
		begin := len(text)
		var name string
		err := ctx.Err()
		if err == nil {
			text, name, _, err = f.next(text)
		}
		if err != nil {
			return events, err
		}
		raw := text[begin:len(text):len(text)]
		_, id, _ := bytes.Cut(raw, []byte(`"id":"`))
		id, _, _ = bytes.Cut(id, []byte(`"`))
		events = append(events, Event{Type: name, ID: string(id), Raw: raw})
	}
	return events, nil
}

const (
	// feedStreams is how far apart the streams of a Current's feeds lie, so that the
	// n-th Current's first is n.
	feedStreams = 1 << 32
	maxFeeds    = 32 // that a Current keeps beside its main one; those of stories are large
)

// feeds are where the events of one Current come from: the main feed, and those
// that single sends asked for. A feed continues where it stopped.
type feeds struct {
	server *Server
	spec   Current
	stream uint64
	main   *feed

	mu      sync.Mutex
	streams uint64           // used so far
	opened  map[string]*feed // by scenario and types
}

func (s *Server) newFeeds(spec Current, stream uint64) (fs *feeds, err error) {
	fs = &feeds{server: s, spec: spec, stream: stream, opened: make(map[string]*feed)}
	fs.main, err = fs.open("", spec.Scenario, spec.Events)
	return fs, err
}

// of finds or makes the feed of a scenario and some of the chosen types; empty ones are
// those of the Current.
func (fs *feeds) of(scenario string, patterns []string) (*feed, error) {
	types := fs.spec.Events
	if len(patterns) > 0 {
		wanted, err := journey.Select(fs.server.glossary, patterns, true)
		if err != nil {
			return nil, fmt.Errorf("types: %w", err)
		}
		types = slices.DeleteFunc(slices.Clone(types), func(name string) bool { return !slices.Contains(wanted, name) })
		if len(types) == 0 {
			return nil, errors.New("types: none of them was chosen for this Current")
		}
	}
	scenario = cmp.Or(scenario, fs.spec.Scenario)
	if scenario == fs.spec.Scenario && len(types) == len(fs.spec.Events) {
		return fs.main, nil
	}
	return fs.open(scenario+"\n"+strings.Join(types, "\n"), scenario, types)
}

// open finds a feed or makes it, with a stream that no other has.
func (fs *feeds) open(key, name string, types []string) (*feed, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.opened[key]; f != nil {
		return f, nil
	}
	s := fs.server
	stream := fs.stream + fs.streams*feedStreams
	var next source
	var err error
	if name == Rounds {
		next, err = newRounds(journey.Config{Glossary: s.glossary, Population: s.people, Seed: s.seed, Stream: stream, Types: types})
	} else {
		chosen := s.scenarios[name]
		if chosen == nil {
			if chosen, err = scenario.Builtin(name); err != nil {
				return nil, fmt.Errorf("%w: %q is none of %s", ErrScenario, name, strings.Join(s.Scenarios(), ", "))
			}
		}
		next, err = newStories(story.Config{Glossary: s.glossary, Seed: s.seed, Stream: stream, Scenario: chosen, Types: types})
	}
	if err != nil {
		return nil, fmt.Errorf("scenario %s: %w", name, err)
	}
	fs.streams++
	if len(fs.opened) >= maxFeeds {
		clear(fs.opened) // a new one has a stream of its own, so that no id comes twice
	}
	fs.opened[key] = &feed{next: next}
	return fs.opened[key], nil
}

// Emission is what Emit writes.
type Emission struct {
	Events   int               // not negative
	Glossary *schemas.Glossary // nil is the one that is built in
	// Types are the event types, as patterns; none means all current ones. Retired
	// makes the types that Braze has retired, too.
	Types   []string
	Retired bool
	Seed    uint64
	// Batches writes request bodies of at most MaxBatch events of one type, as
	// a Current would send them, instead of single events.
	Batches bool
	// Scenario makes stories instead of events of each type in turn.
	Scenario *Scenario
	// Drift is the share of events with a field or a type that is new, in
	// millionths. It replaces that of the Scenario, unless it is 0.
	Drift scenario.Share
	// Users replaces how many people the scenario has, unless it is 0.
	Users uint64
	// Progress is called now and then with how many more events were made, if not nil.
	Progress func(more int)
}

// emitCheck is how often Progress is called, in events.
const emitCheck = 1024

// Emit writes events as NDJSON, one a line, or one batch a line. It needs the
// same memory for a million events as for a thousand. Equal emissions are
// equal byte for byte. It stops with the error of ctx, of w, with one that names
// the pattern that no event type matches, or with ErrOver.
func Emit(ctx context.Context, w io.Writer, e Emission) error {
	if e.Events < 0 {
		return errors.New("emit: a number of events cannot be negative")
	}
	if e.Users > 0 && e.Scenario == nil {
		return errors.New("emit: a number of users needs a scenario")
	}
	from, err := e.source()
	if err != nil {
		return fmt.Errorf("emit: %w", err)
	}
	out := bufio.NewWriterSize(w, 256<<10)
	sink := func(event []byte, _ string, _ time.Time) error {
		_, err := out.Write(append(event, '\n'))
		return err
	}
	batches := batchWriter{out: out, byType: make(map[string]*openBatch)}
	if e.Batches {
		sink = batches.add
	}
	var event []byte
	for made := 1; made <= e.Events && err == nil; made++ {
		var name string
		var at time.Time
		if event, name, at, err = from(event[:0]); err == nil {
			err = cmp.Or(sink(event, name, at), ctx.Err()) // a rare event may take a while
		}
		if e.Progress != nil && err == nil && (made%emitCheck == 0 || made == e.Events) {
			e.Progress((made-1)%emitCheck + 1)
		}
	}
	if err == nil {
		err = batches.flush(time.Unix(1<<40, 0)) // all of them
	}
	if err == nil || errors.Is(err, story.ErrOver) { // then the events so far are written
		err = errors.Join(err, out.Flush())
	}
	if err != nil {
		return fmt.Errorf("emit: %w", err)
	}
	return nil
}

func (e *Emission) source() (source, error) {
	glossary := e.Glossary
	if glossary == nil {
		var err error
		if glossary, err = schemas.Load(); err != nil {
			return nil, err
		}
	}
	if e.Scenario == nil {
		return newRounds(journey.Config{Glossary: glossary, Seed: e.Seed, Types: e.Types, Retired: e.Retired, Drift: e.Drift})
	}
	changed := *e.Scenario
	changed.Rough.Drift = cmp.Or(e.Drift, changed.Rough.Drift)
	changed.Users = cmp.Or(e.Users, changed.Users)
	return newStories(story.Config{Glossary: glossary, Seed: e.Seed, Types: e.Types, Retired: e.Retired, Scenario: &changed})
}

// batchAge is how long the oldest event of a batch waits for others, where
// events have a clock; see Current.FlushAfter.
const batchAge = 5 * time.Minute

// batchWriter writes a batch when it is full, when its oldest event has waited
// for batchAge, and what is left at the end. Batches that are due together are
// written in the order in which their types first came.
type batchWriter struct {
	out    *bufio.Writer
	open   []*openBatch
	byType map[string]*openBatch
	looked time.Time
}

type openBatch struct {
	body   []byte // without its end
	events int
	from   time.Time // of the oldest event
}

func (w *batchWriter) add(event []byte, name string, at time.Time) error {
	if at.Sub(w.looked) > time.Second {
		w.looked = at
		if err := w.flush(at.Add(-batchAge)); err != nil {
			return err
		}
	}
	b := w.byType[name]
	if b == nil {
		b = new(openBatch)
		w.byType[name] = b
		w.open = append(w.open, b)
	}
	if b.events == 0 {
		b.body, b.from = append(b.body[:0], bodyOpen...), at
	} else {
		b.body = append(b.body, ',')
	}
	b.body = append(b.body, event...)
	if b.events++; b.events == MaxBatch {
		return w.write(b)
	}
	return nil
}

// flush writes the batches whose oldest event is not younger than limit.
func (w *batchWriter) flush(limit time.Time) (err error) {
	for _, b := range w.open {
		if b.events > 0 && !b.from.After(limit) {
			err = w.write(b) // an error stays for all later ones
		}
	}
	return err
}

func (w *batchWriter) write(b *openBatch) error {
	b.events = 0
	_, err := w.out.Write(append(b.body, bodyClose+"\n"...))
	return err
}
