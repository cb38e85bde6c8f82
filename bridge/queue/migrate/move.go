package migrate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

const (
	// stepBytes bounds what one step holds in memory, about.
	stepBytes = 16 << 20
	// atOnce is how many batches are on their way to the destination at a time: a
	// cluster's answer takes a round trip, and commits on a disk share an fsync.
	atOnce = 16
)

// mover moves one connector.
type mover struct {
	opts           Options
	source, target queue.Queue
	report         Connector

	mu sync.Mutex // for report and opts.Moved while several batches are on their way
}

// parcel is one event on its way: pending, or a letter.
type parcel struct {
	raw    []byte
	letter *queue.DeadLetter // nil: it is pending
	there  bool              // it is in the destination now
}

// events moves what is pending, until nothing is left that can be moved.
func (m *mover) events(ctx context.Context) error {
	var kept []*queue.Record // with what cannot be moved: given back, they would come again
	defer func() { m.source.Release(kept...) }()
	for {
		open := int(m.source.Ledger().Pending()) - m.report.TooLarge
		if open <= 0 {
			return nil
		}
		records, err := m.fetch(ctx)
		if err != nil {
			return fmt.Errorf("read from the source: %w", err)
		}
		if len(records) == 0 {
			m.report.Unreadable += open
			return nil
		}
		left, err := m.moveRecords(ctx, records)
		kept = append(kept, left...)
		if err != nil {
			return err
		}
	}
}

// fetch returns the next records; none where nothing more can be read, though
// it is pending.
func (m *mover) fetch(ctx context.Context) ([]*queue.Record, error) {
	waiting, cancel := context.WithTimeout(ctx, m.opts.stall)
	defer cancel()
	records, err := m.source.Fetch(waiting, queue.Limit{Events: Step, Bytes: stepBytes})
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		return nil, nil
	}
	return records, err
}

// moveRecords is one step. It returns the records of which something stays.
func (m *mover) moveRecords(ctx context.Context, records []*queue.Record) (left []*queue.Record, err error) {
	parcels := make([][]parcel, len(records))
	var all errgroup.Group
	all.SetLimit(atOnce)
	for i, r := range records {
		parcels[i] = make([]parcel, len(r.Events))
		for j, e := range r.Events {
			parcels[i][j].raw = e.Raw
		}
		all.Go(func() error { return m.put(ctx, r.ReceivedAt, parcels[i]) })
	}
	// What has arrived is taken out of the source, whatever came of the rest and
	// whether somebody wants to end now: else it would be moved again.
	failed := all.Wait()
	var gone queue.Settlement
	for i, r := range records {
		for j, p := range parcels[i] {
			if p.there {
				index := r.Events[j].Index
				gone.Filtered = append(gone.Filtered, queue.Span{Seq: r.Seq, First: index, Last: index})
			}
		}
	}
	settled := m.insist(context.WithoutCancel(ctx), func(ctx context.Context) error { return m.source.Settle(ctx, gone) })
	if settled != nil {
		return records, errors.Join(failed, fmt.Errorf("take what was moved out of the source: %w", settled))
	}
	m.report.Pending += len(gone.Filtered)
	if failed != nil {
		return records, failed
	}
	for i, r := range records {
		missing := 0
		for _, p := range parcels[i] {
			if !p.there {
				missing++
			}
		}
		if missing > 0 {
			m.report.TooLarge += missing
			left = append(left, r)
			continue
		}
		m.source.Release(r)
	}
	return left, nil
}

// letters moves the dead letters.
func (m *mover) letters(ctx context.Context) error {
	tooLarge := 0
	for after := uint64(0); ; {
		letters, err := m.source.Dead(ctx, after, Step)
		if err != nil {
			return fmt.Errorf("read dead letters from the source: %w", err)
		}
		if len(letters) == 0 {
			break
		}
		after = letters[len(letters)-1].Number
		left, err := m.moveLetters(ctx, letters)
		if err != nil {
			return err
		}
		tooLarge += left
	}
	m.report.TooLarge += tooLarge
	m.report.Unreadable += int(m.source.Ledger().Dead) - tooLarge
	return nil
}

// moveLetters is one step. It returns how many letters stay.
func (m *mover) moveLetters(ctx context.Context, letters []queue.DeadLetter) (left int, err error) {
	parcels := make([]parcel, len(letters))
	for i := range letters {
		parcels[i] = parcel{raw: letters[i].Event, letter: &letters[i]}
	}
	var all errgroup.Group
	all.SetLimit(atOnce)
	for first := 0; first < len(letters); {
		last := first + 1
		for last < len(letters) && letters[last].ReceivedAt.Equal(letters[first].ReceivedAt) {
			last++
		}
		same := parcels[first:last]
		all.Go(func() error { return m.put(ctx, same[0].letter.ReceivedAt, same) })
		first = last
	}
	failed := all.Wait()
	var gone []uint64
	for _, p := range parcels {
		if p.there {
			gone = append(gone, p.letter.Number)
		}
	}
	purged := m.insist(context.WithoutCancel(ctx), func(ctx context.Context) error {
		_, err := m.source.PurgeDead(ctx, gone...)
		return err
	})
	if purged != nil {
		return 0, errors.Join(failed, fmt.Errorf("take letters that were moved out of the source: %w", purged))
	}
	m.report.Dead += len(gone)
	return len(letters) - len(gone), failed
}

// put stores events of one time of receipt in the destination and notes which
// are there. Where one is too large, the batch is halved until that one stands
// alone, and stays.
func (m *mover) put(ctx context.Context, received time.Time, parcels []parcel) error {
	b, withoutID := batchOf(received, parcels)
	var receipt queue.Receipt
	err := m.insist(ctx, func(ctx context.Context) (err error) {
		receipt, err = m.target.Append(ctx, b)
		return err
	})
	switch {
	case errors.Is(err, queue.ErrTooLarge) && len(parcels) == 1:
		return nil
	case errors.Is(err, queue.ErrTooLarge):
		half := len(parcels) / 2
		if err := m.put(ctx, received, parcels[:half]); err != nil {
			return err
		}
		return m.put(ctx, received, parcels[half:])
	case err != nil:
		return fmt.Errorf("store in the destination: %w", err)
	}
	for i := range parcels {
		parcels[i].there = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.report.Repeats += receipt.Duplicates
	m.report.WithoutID += withoutID
	m.opts.Moved(len(parcels))
	return nil
}

// batchOf makes the batch that Braze would send of these events. The same
// parcels make the same bytes, by which a store may know a repeat.
func batchOf(received time.Time, parcels []parcel) (b queue.Batch, withoutID int) {
	var scan currents.Batch
	var id []byte
	b = queue.Batch{ReceivedAt: received, Body: []byte(`{"events":[`)}
	for i, p := range parcels {
		if i > 0 {
			b.Body = append(b.Body, ',')
		}
		item := queue.Item{Start: len(b.Body), End: len(b.Body) + len(p.raw)}
		b.Body = append(b.Body, p.raw...)
		ok := false
		if scan.ScanEvent(p.raw) == nil {
			id, ok = currents.AppendID(id[:0], scan.Events[0].ID)
		}
		if ok {
			item.ID = queue.HashID(id)
		} else {
			withoutID++
		}
		if p.letter != nil {
			item.Fate, item.Reason, item.Letter = queue.Dead, p.letter.Reason, p.letter
		}
		b.Items = append(b.Items, item)
	}
	b.Body = append(b.Body, `]}`...)
	return b, withoutID
}
