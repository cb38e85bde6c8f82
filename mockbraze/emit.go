package mockbraze

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/journey"
	"github.com/currentsbridge/currentsbridge/internal/journey/story"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
	"github.com/currentsbridge/currentsbridge/schemas"
)

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
