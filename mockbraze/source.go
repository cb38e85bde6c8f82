package mockbraze

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/fieldtransform"
	"github.com/currentsbridge/currentsbridge/internal/journey"
	"github.com/currentsbridge/currentsbridge/internal/journey/story"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
)

// Rounds is the scenario by default: event types in turn, evenly, as emit prints
// them.
const Rounds = "rounds"

// ErrScenario says that there is no such scenario; the text lists those there
// are.
var ErrScenario = errors.New("there is no such scenario")

// ErrOver says that a scenario makes no more events of the chosen types; the text
// says what to change.
var ErrOver = story.ErrOver

// WithScenario makes a scenario known to the Currents and to the control API under
// a name, beside the built-in ones. The name Rounds is taken.
func WithScenario(name string, scenario *Scenario) Option {
	return func(s *Server) { s.scenarios[name] = scenario }
}

// Scenario says what happens in a workspace, how often, and how rough the stream
// of events is. docs/mockbraze.md describes its YAML. Those that use it do not
// change it.
type Scenario = scenario.Scenario

// LoadScenario reads the scenario with a built-in name (steady, flash-sale,
// newsletter, quiet), or else the YAML file at that path. The error names every
// mistake in a file with its line.
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
type source interface {
	next(dst []byte) (event []byte, eventType string, at time.Time, err error)
}

// stories are what happens in a scenario: one thing follows from another. Its
// people are the scenario's own.
type stories struct {
	*story.Stories
	transforms map[string]Transform
}

func newStories(cfg story.Config) (source, error) {
	if err := fieldtransform.Check(cfg.Glossary, cfg.Scenario.Transforms); err != nil {
		return nil, err
	}
	s, err := story.New(cfg)
	return stories{s, cfg.Scenario.Transforms}, err
}

func (s stories) next(dst []byte) ([]byte, string, time.Time, error) {
	event, name, at := s.Next(dst)
	if len(s.transforms) > 0 {
		event = append(event[:len(dst)], fieldtransform.Apply(event[len(dst):], s.transforms)...)
	}
	return event, name, at, s.Err()
}

// rounds go round the event types.
type rounds struct {
	*journey.Rounds
	number uint64 // of the next event to happen
}

func newRounds(cfg journey.Config) (source, error) {
	r, err := journey.New(cfg)
	return &rounds{Rounds: r}, err
}

func (r *rounds) next(dst []byte) ([]byte, string, time.Time, error) {
	i := r.number
	r.number++
	return r.Append(dst, i), r.Type(i), time.Time{}, nil
}

// feed is a source that goroutines may share.
type feed struct {
	mu     sync.Mutex
	source source
}

// take makes n events, or fewer and an error. A rare event may take a while, so ctx
// is checked before each.
func (f *feed) take(ctx context.Context, n int) ([]Event, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	events := make([]Event, 0, n)
	text := make([]byte, 0, 1024*n) // many events in one piece of memory
	for range n {
		if err := ctx.Err(); err != nil {
			return events, err
		}
		begin := len(text)
		var name string
		var err error
		if text, name, _, err = f.source.next(text); err != nil {
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
	// feedStreams is how far apart the streams of a Current's feeds lie, so
	// that the n-th Current's first is n.
	feedStreams = 1 << 32
	// maxFeeds is how many feeds of narrowed types a Current keeps.
	maxFeeds = 32
)

// feeds are where the events of one Current come from: the main feed, and those
// that single sends asked for. A feed continues where it stopped.
type feeds struct {
	server   *Server
	scenario string
	types    []string
	stream   uint64
	main     *feed

	mu     sync.Mutex
	opened uint64
	others map[string]*feed
}

func (s *Server) newFeeds(spec Current, stream uint64) (*feeds, error) {
	fs := &feeds{server: s, scenario: spec.Scenario, types: spec.Events, stream: stream, others: make(map[string]*feed)}
	var err error
	fs.main, err = fs.open(spec.Scenario, spec.Events)
	return fs, err
}

// of finds or makes the feed of a scenario and some of the chosen types; what
// is empty is that of the Current.
func (fs *feeds) of(scenario string, types []string) (*feed, error) {
	if scenario == "" {
		scenario = fs.scenario
	}
	chosen, err := fs.choose(types)
	if err != nil {
		return nil, err
	}
	if scenario == fs.scenario && len(chosen) == len(fs.types) {
		return fs.main, nil
	}
	return fs.other(scenario+"\n"+strings.Join(chosen, "\n"), scenario, chosen)
}

// test is the feed of SendTestEvents, which goes round the types evenly.
func (fs *feeds) test() (*feed, error) { return fs.other("\ntest", Rounds, fs.types) }

// other finds or makes a feed beside the main one.
func (fs *feeds) other(key, scenario string, types []string) (*feed, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.others[key]; f != nil {
		return f, nil
	}
	f, err := fs.open(scenario, types)
	if err != nil {
		return nil, err
	}
	if len(fs.others) >= maxFeeds {
		clear(fs.others) // a new one has a stream of its own, so no id comes twice
	}
	fs.others[key] = f
	return f, nil
}

// choose narrows the types of the Current.
func (fs *feeds) choose(patterns []string) ([]string, error) {
	if len(patterns) == 0 {
		return fs.types, nil
	}
	wanted, err := journey.Select(fs.server.glossary, patterns, true)
	if err != nil {
		return nil, fmt.Errorf("types: %w", err)
	}
	var chosen []string
	for _, name := range fs.types {
		if slices.Contains(wanted, name) {
			chosen = append(chosen, name)
		}
	}
	if len(chosen) == 0 {
		return nil, errors.New("types: none of them was chosen for this Current")
	}
	return chosen, nil
}

// open makes a feed with a stream that no other has.
func (fs *feeds) open(name string, types []string) (*feed, error) {
	s := fs.server
	stream := fs.stream + fs.opened*feedStreams
	fs.opened++
	if name == Rounds {
		source, err := newRounds(journey.Config{Glossary: s.glossary, Population: s.people, Seed: s.seed, Stream: stream, Types: types})
		return &feed{source: source}, err
	}
	chosen := s.scenarios[name]
	if chosen == nil {
		var err error
		if chosen, err = scenario.Builtin(name); err != nil {
			return nil, fmt.Errorf("%w: %q is none of %s", ErrScenario, name, strings.Join(s.Scenarios(), ", "))
		}
	}
	source, err := newStories(story.Config{Glossary: s.glossary, Seed: s.seed, Stream: stream, Scenario: chosen, Types: types})
	if err != nil {
		return nil, fmt.Errorf("scenario %s: %w", name, err)
	}
	return &feed{source: source}, nil
}
