package pebble

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

// errEnough ends each without an error.
var errEnough = errors.New("enough")

// each gives visit the things of one kind with numbers from from to to (not
// included), in order. What cannot be read is reported with the message and
// passed over, so that one damaged block does not hide all that follows. An
// error of visit ends it; errEnough does so without being returned.
func (q *connQueue) each(ctx context.Context, kind byte, from, to uint64, message string, visit func(number uint64, value []byte) error) error {
	for from < to {
		next, err := q.eachUntilDamage(ctx, kind, from, to, message, visit)
		if errors.Is(err, errEnough) {
			return nil
		}
		if err == nil && next == 0 {
			return nil
		}
		if err == nil {
			from = next
			continue
		}
		if !isDamage(err) {
			return err
		}
		if next, err = q.afterDamage(kind, next, to, err, message); err != nil {
			return err
		}
		from = next
	}
	return nil
}

// eachUntilDamage returns 0 at the end, the number to go on with after a value
// that cannot be read, or an error and the number that it is met from on.
func (q *connQueue) eachUntilDamage(ctx context.Context, kind byte, from, to uint64, message string, visit func(uint64, []byte) error) (next uint64, err error) {
	it, err := q.scan(kind, from, to)
	if err != nil {
		return from, err
	}
	defer func() {
		if closing := it.Close(); err == nil && next == 0 {
			err = closing
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return from, err
		}
		number, _ := seqOf(it.Key())
		value, err := valueOf(it)
		if err != nil {
			if !isDamage(err) {
				return number, err
			}
			q.damagedAt(kind, number, message, err)
			return number + 1, nil
		}
		if err := visit(number, value); err != nil {
			return number, err
		}
		from = number + 1
	}
	return fromIf(it.Error(), from), it.Error()
}

func fromIf(err error, from uint64) uint64 {
	if err == nil {
		return 0
	}
	return from
}

// afterDamage finds the first number from which on keys can be read again, and
// reports those before it. What is whole between two damaged places that are
// close to each other may be passed over with them.
func (q *connQueue) afterDamage(kind byte, from, to uint64, cause error, message string) (uint64, error) {
	bad, good := from, to
	for step := uint64(1); good == to && step < to-bad; step *= 2 {
		if err := q.readable(kind, bad+step, to); err == nil {
			good = bad + step
		} else if !isDamage(err) {
			return 0, err
		} else {
			bad += step
		}
	}
	for good != to && good-bad > 1 {
		middle := bad + (good-bad)/2
		if err := q.readable(kind, middle, to); err == nil {
			good = middle
		} else if !isDamage(err) {
			return 0, err
		} else {
			bad = middle
		}
	}
	q.damagedAt(kind, from, message, fmt.Errorf("and those up to %d: %w", good-1, cause))
	return good, nil
}

// readable tells whether the first key from a number on can be read.
func (q *connQueue) readable(kind byte, from, to uint64) error {
	it, err := q.scan(kind, from, to)
	if err != nil {
		return err
	}
	it.First()
	return errors.Join(it.Error(), it.Close())
}

// valueOf is the value that the iterator stands at. Where the blob file that
// holds it is not there, Pebble panics.
func valueOf(it *pebble.Iterator) (value []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the blob file that holds it cannot be opened: %w", wire.ErrDamaged)
		}
	}()
	return it.ValueAndErr()
}

// lookup returns the value of key, which is valid until the closer is closed, or
// pebble.ErrNotFound. It is what Pebble's Get does, but holds nothing for ever
// where that panics.
func (s *Store) lookup(key []byte) ([]byte, io.Closer, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: key, UpperBound: append(key[:len(key):len(key)], 0)})
	if err != nil {
		return nil, nil, err
	}
	if !it.First() {
		if err := errors.Join(it.Error(), it.Close()); err != nil {
			return nil, nil, err
		}
		return nil, nil, pebble.ErrNotFound
	}
	value, err := valueOf(it)
	if err != nil {
		return nil, nil, errors.Join(err, it.Close())
	}
	return value, it, nil
}
