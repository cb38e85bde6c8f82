package jetstream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

const (
	deadPage = 4 << 20 // bytes of events after which a page of letters ends
	deleters = 8       // deletions under way at a time
)

// Dead implements queue.Queue.
func (q *connQueue) Dead(ctx context.Context, after uint64, limit int) (letters []queue.DeadLetter, err error) {
	ctx, end, err := q.beginLong(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if limit <= 0 {
		return nil, nil
	}
	q.fold.mu.Lock()
	to := q.fold.totals.seq + 1
	q.fold.mu.Unlock()
	size := 0
	err = q.eachLetter(ctx, q.letterPlace(after), to, func(m stored, number uint64) error {
		if number <= after {
			return nil
		}
		d, err := parseLetter(number, m.data)
		if err != nil {
			q.store.opts.Logger.Error("a dead letter cannot be read", "connector", q.name, "number", number, "error", err)
			return nil
		}
		letters = append(letters, d)
		if size += len(d.Event); len(letters) == limit || size >= deadPage {
			q.notePlace(number, m.seq)
			return errEnough
		}
		return nil
	})
	return letters, q.store.endedOr(err)
}

// eachLetter calls f with the letters between two places that are letters still.
func (q *connQueue) eachLetter(ctx context.Context, from, to uint64, f func(m stored, number uint64) error) error {
	return q.scan(ctx, q.names.below(wordDead), from, to, false, func(m stored) error {
		e, err := m.entry()
		if err != nil || e.kind != kindLetter {
			return nil
		}
		number, err := strconv.ParseUint(m.subject[strings.LastIndexByte(m.subject, '.')+1:], 10, 64)
		if err != nil {
			return nil
		}
		q.fold.mu.Lock()
		_, gone := q.fold.gone[number]
		q.fold.mu.Unlock()
		if gone {
			return nil
		}
		return f(m, number)
	})
}

// letterPlace returns a place in the stream after which letters after the given
// one lie; it knows those that pages ended with.
func (q *connQueue) letterPlace(after uint64) uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return max(q.letters[after], 1)
}

func (q *connQueue) notePlace(number, seq uint64) {
	const many = 64
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.letters) >= many {
		clear(q.letters)
	}
	q.letters[number] = seq
}

// letter reads one letter; its seq is 0 where there is none (any more).
func (q *connQueue) letter(ctx context.Context, number uint64) (stored, error) {
	if number == 0 {
		return stored{}, nil
	}
	q.fold.mu.Lock()
	_, gone := q.fold.gone[number]
	gone = gone || number >= q.fold.nextDead
	q.fold.mu.Unlock()
	if gone {
		return stored{}, nil
	}
	m, err := q.newest(ctx, q.names.at(wordDead, number))
	if err != nil || m.seq == 0 {
		return stored{}, err
	}
	if e, err := m.entry(); err != nil || e.kind != kindLetter {
		return stored{}, err
	}
	return m, nil
}

// farewell makes the message that ends a letter, unless another bridge was quicker.
func (q *connQueue) farewell(k kind, number uint64, letter stored) *nats.Msg {
	e := entry{kind: k, writer: q.store.bridge, nonce: q.store.nonce.Add(1), number: number, size: len(letter.data)}
	return expect(message(letter.subject, e, nil, ""), letter.seq)
}

// ReplayDead implements queue.Queue.
func (q *connQueue) ReplayDead(ctx context.Context, numbers ...uint64) (int, error) {
	return q.endLetters(ctx, numbers, func(ctx context.Context, number uint64, m stored) (ack, error) {
		d, err := parseLetter(number, m.data)
		if err != nil {
			return ack{}, err
		}
		spans := []wire.Span{{Start: 0, End: len(d.Event)}}
		body := wire.AppendHeader(binary.AppendUvarint(nil, 0), d.ReceivedAt, spans, len(d.Event))
		body = append(body, s2.Encode(nil, d.Event)...)
		nonce := q.store.nonce.Add(1)
		e := entry{kind: kindRecord, writer: q.store.bridge, nonce: nonce, number: number, received: d.ReceivedAt, events: 1, size: len(body)}
		return q.store.publish(ctx, q.farewell(kindRevived, number, m), message(q.names.of(wordRecord), e, body, q.idOf(nonce)))
	})
}

// PurgeDead implements queue.Queue.
func (q *connQueue) PurgeDead(ctx context.Context, numbers ...uint64) (int, error) {
	return q.endLetters(ctx, numbers, q.purgeLetter)
}

func (q *connQueue) purgeLetter(ctx context.Context, number uint64, m stored) (ack, error) {
	return q.store.publish(ctx, q.farewell(kindPurged, number, m))
}

// endLetters ends letters one by one, each in one commit, and then deletes their messages.
func (q *connQueue) endLetters(ctx context.Context, numbers []uint64, how func(context.Context, uint64, stored) (ack, error)) (n int, err error) {
	ctx, end, err := q.beginLong(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	for _, number := range numbers {
		var ended bool
		if ended, err = q.endLetter(ctx, number, how); err != nil {
			break
		}
		if ended {
			n++
		}
	}
	if n > 0 {
		q.sweepLetters(ctx)
	}
	return n, q.store.endedOr(err)
}

// endLetter ends one letter; false: there is none. Where an acknowledgement got
// lost the next attempt finds the letter ended, and sees by whom.
func (q *connQueue) endLetter(ctx context.Context, number uint64, how func(context.Context, uint64, stored) (ack, error)) (bool, error) {
	m, err := q.letter(ctx, number)
	if err != nil || m.seq == 0 {
		return false, err
	}
	a, err := how(ctx, number, m)
	if err == nil {
		q.seen(ctx, a.seq)
		return true, nil
	}
	if !errors.Is(err, errConflict) && !errors.Is(err, errRepeat) {
		return false, err
	}
	now, err := q.newest(ctx, m.subject)
	if err != nil || now.seq == 0 {
		return false, err
	}
	e, err := now.entry()
	q.seen(ctx, now.seq)
	return e.writer == q.store.bridge && e.kind != kindLetter, err
}

// sweepLetters deletes the messages of letters that are none any more. What it
// does not come to is done the next time.
func (q *connQueue) sweepLetters(ctx context.Context) {
	q.fold.mu.Lock()
	var numbers []uint64
	for n := range q.fold.gone {
		if numbers = append(numbers, n); len(numbers) == maxLetters {
			break
		}
	}
	q.fold.mu.Unlock()
	if len(numbers) == 0 {
		return
	}
	err := q.storeTotals(ctx) // no bridge may miss a message that is not in them
	if err == nil {
		err = inParallel(numbers, func(number uint64) error {
			return q.js.Purge(ctx, natsjs.WithPurgeSubject(q.names.at(wordDead, number)))
		})
	}
	if err == nil {
		var a ack
		if a, err = q.log(ctx, entry{kind: kindSwept, numbers: numbers}); err == nil {
			q.seen(ctx, a.seq)
		}
	}
	if err != nil && ctx.Err() == nil {
		q.store.opts.Logger.Warn("messages of dead letters that are gone could not be deleted; trying again later", "connector", q.name, "error", err)
	}
}

// inParallel calls f for all numbers, several at a time.
func inParallel(numbers []uint64, f func(uint64) error) error {
	var mu sync.Mutex
	var all sync.WaitGroup
	var errs []error
	slots := make(chan struct{}, deleters)
	for _, n := range numbers {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			if err := f(n); err != nil {
				mu.Lock()
				errs = append(errs, fmt.Errorf("%d: %w", n, err))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
