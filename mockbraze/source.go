package mockbraze

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/currentsbridge/currentsbridge/internal/journey"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
)

// Rounds is the scenario that is always there: event types in turn, evenly, as
// emit prints them.
const Rounds = "rounds"

// ErrScenario says that there is no such scenario; the text lists those there
// are.
var ErrScenario = errors.New("there is no such scenario")

// ErrOver says that nothing that is wanted happens any more in a scenario; the
// text says what to change.
var ErrOver = journey.ErrOver

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

// transformsOf are the field transformations of a scenario.
func transformsOf(s *Scenario) map[string]Transform {
	out := make(map[string]Transform, len(s.Transforms))
	for name, what := range s.Transforms {
		out[name] = Transform(what)
	}
	return out
}

// Scenarios lists the scenarios that the Server knows: Rounds, the built-in ones
// and those of WithScenario.
func (s *Server) Scenarios() []string {
	own := slices.Collect(maps.Keys(s.scenarios))
	all := slices.Compact(slices.Sorted(slices.Values(append(own, scenario.Names()...))))
	return append([]string{Rounds}, all...)
}

// feed is a Source that goroutines may share.
type feed struct {
	mu     sync.Mutex
	source taker
}

// taker gives n events at a time; fewer with an error that says why.
type taker interface {
	take(ctx context.Context, n int) ([]Event, error)
}

func (f *feed) take(ctx context.Context, n int) ([]Event, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.source.take(ctx, n)
}

// stories takes from journey.Stories: what happens follows from what happened. Its
// people are the scenario's own.
type stories struct {
	*journey.Stories
	transforms map[string]Transform
}

func newStories(cfg journey.StoriesConfig) (stories, error) {
	transforms := transformsOf(cfg.Scenario)
	if err := checkTransforms(cfg.Glossary, transforms); err != nil {
		return stories{}, err
	}
	told, err := journey.NewStories(cfg)
	return stories{told, transforms}, err
}

// take looks at ctx after each event, since a rare one may take a while.
func (s stories) take(ctx context.Context, n int) ([]Event, error) {
	events := make([]Event, 0, n)
	for range n {
		if err := ctx.Err(); err != nil {
			return events, err
		}
		raw, eventType, _ := s.Next(nil)
		if err := s.Err(); err != nil {
			return events, err
		}
		events = append(events, Event{Type: eventType, Raw: transform(raw, s.transforms)}.complete())
	}
	return events, nil
}

// rounds takes from journey.Rounds, many events in one piece of memory.
type rounds struct {
	*journey.Rounds
	next uint64 // the number of the next event to happen
}

func (r *rounds) take(_ context.Context, n int) ([]Event, error) {
	events := make([]Event, n)
	ends := make([]int, n)
	text := make([]byte, 0, 1024*n)
	var id [36]byte
	for i := range events {
		text = r.Append(text, r.next)
		ends[i] = len(text)
		events[i] = Event{Type: r.Type(r.next), ID: string(r.AppendID(id[:0], r.next))}
		r.next++
	}
	begin := 0
	for i, end := range ends {
		events[i].Raw = text[begin:end:end]
		begin = end
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
// that single sends asked for. A feed goes on where it stopped.
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
	key := scenario + "\n" + strings.Join(chosen, "\n")
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.others[key]; f != nil {
		return f, nil
	}
	f, err := fs.open(scenario, chosen)
	if err != nil {
		return nil, err
	}
	if len(fs.others) >= maxFeeds {
		clear(fs.others) // a new one has a stream of its own, so no id comes twice
	}
	fs.others[key] = f
	return f, nil
}

// test is the feed of SendTestEvents, which goes round the types evenly.
func (fs *feeds) test() (*feed, error) {
	const key = "\ntest"
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.others[key]; f != nil {
		return f, nil
	}
	f, err := fs.open(Rounds, fs.types)
	fs.others[key] = f
	return f, err
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
		r, err := journey.New(journey.Config{
			Glossary: s.glossary, Population: s.people, Seed: s.seed, Stream: stream,
			Types: types,
		})
		if err != nil {
			return nil, err
		}
		return &feed{source: &rounds{Rounds: r}}, nil
	}
	told := s.scenarios[name]
	if told == nil {
		var err error
		if told, err = scenario.Builtin(name); err != nil {
			return nil, fmt.Errorf("%w: %q is none of %s", ErrScenario, name, strings.Join(s.Scenarios(), ", "))
		}
	}
	source, err := newStories(journey.StoriesConfig{
		Glossary: s.glossary, Seed: s.seed, Stream: stream, Scenario: told, Types: types,
	})
	if err != nil {
		return nil, fmt.Errorf("scenario %s: %w", name, err)
	}
	return &feed{source: source}, nil
}
