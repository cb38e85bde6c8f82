package mockbraze

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/currentsbridge/currentsbridge/mockbraze/journey"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// Emission is what Emit writes.
type Emission struct {
	// Events is how many events there are; not negative.
	Events int
	// Types are the event types to go round, as patterns; none means all.
	Types []string
	// Seed decides what the events say.
	Seed uint64
	// Batches writes request bodies of at most MaxBatch events of one type, as
	// a Current would send them, instead of single events.
	Batches bool
}

// emitCheck is after how many events Emit looks whether it is to stop.
const emitCheck = 1024

// Emit writes events as NDJSON, one a line, or one batch a line. It needs the
// same memory for a million events as for a thousand. Equal emissions are
// equal byte for byte. It stops with the error of ctx, of w, or with one that
// names the pattern that no event type matches.
func Emit(ctx context.Context, w io.Writer, e Emission) error {
	if e.Events < 0 {
		return errors.New("emit: a number of events cannot be negative")
	}
	glossary, err := schemas.Load()
	if err != nil {
		return fmt.Errorf("emit: %w", err)
	}
	rounds, err := journey.New(journey.Config{Glossary: glossary, Seed: e.Seed, Types: e.Types})
	if err != nil {
		return fmt.Errorf("emit: %w", err)
	}
	out := bufio.NewWriterSize(w, 256<<10)
	write := emitEvents
	if e.Batches {
		write = emitBatches
	}
	if err = write(ctx, out, rounds, e.Events); err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("emit: %w", err)
	}
	return nil
}

func emitEvents(ctx context.Context, out *bufio.Writer, rounds *journey.Rounds, n int) error {
	var line []byte
	for i := range n {
		if i%emitCheck == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		line = append(rounds.Append(line[:0], uint64(i)), '\n')
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
	return nil
}

// emitBatches writes a batch when it is full, and what is left at the end in
// the order of the types.
func emitBatches(ctx context.Context, out *bufio.Writer, rounds *journey.Rounds, n int) error {
	types := len(rounds.Types())
	lines := make([][]byte, types)
	held := make([]int, types)
	for i := range n {
		if i%emitCheck == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		t := i % types
		if held[t] == 0 {
			lines[t] = append(lines[t][:0], bodyOpen...)
		} else {
			lines[t] = append(lines[t], ',')
		}
		lines[t] = rounds.Append(lines[t], uint64(i))
		if held[t]++; held[t] == MaxBatch {
			held[t] = 0
			if _, err := out.Write(append(lines[t], bodyClose+"\n"...)); err != nil {
				return err
			}
		}
	}
	for t := range types {
		if held[t] == 0 {
			continue
		}
		if _, err := out.Write(append(lines[t], bodyClose+"\n"...)); err != nil {
			return err
		}
	}
	return nil
}
