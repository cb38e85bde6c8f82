package pebble_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/pebble"
)

// withHistory calls f with a queue in which two events were delivered.
func withHistory(f func(context.Context, queue.Queue) error) {
	dir, err := os.MkdirTemp("", "queue")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	store, err := pebble.Open(dir, pebble.Options{RetainAge: 72 * time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	ctx := context.Background()
	q, err := store.Open(ctx, "default", queue.DefaultWindow)
	if err == nil {
		err = deliverTwo(ctx, q)
	}
	if err == nil {
		err = f(ctx, q)
	}
	if err != nil {
		fmt.Println(err)
	}
}

func deliverTwo(ctx context.Context, q queue.Queue) error {
	batch := queue.Batch{
		Body:  []byte(`{"events":[{"user":"ann"},{"user":"bob"}]}`),
		Items: []queue.Item{{Start: 11, End: 25}, {Start: 26, End: 40}},
	}
	if _, err := q.Append(ctx, batch); err != nil {
		return err
	}
	records, err := q.Fetch(ctx, queue.Limit{Events: 10, Bytes: 1 << 20})
	if err != nil {
		return err
	}
	defer q.Release(records...)
	return q.Settle(ctx, queue.Settlement{Delivered: []queue.Span{{Seq: records[0].Seq, First: 0, Last: 1}}})
}

// A replay is ordered once; a worker reads it piece by piece and stores how far
// it has come.
func Example_replay() {
	withHistory(func(ctx context.Context, q queue.Queue) error {
		order := queue.ReplayOrder{From: time.Now().Add(-2 * time.Hour), Rate: 1000}
		if _, err := q.StartReplay(ctx, order); err != nil {
			return err // errors.Is(err, queue.ErrReplaying): one is under way
		}
		for {
			r, records, err := q.FetchReplay(ctx, queue.Limit{Events: 500, Bytes: 2 << 20})
			if err != nil {
				return err
			}
			p := queue.ReplayProgress{Number: r.Number, End: len(records) == 0}
			for _, record := range records {
				for _, e := range record.Events {
					fmt.Printf("again: %s\n", e.Raw)
					p.Replayed++
				}
				p.Next = record.Seq + 1
			}
			if err := q.SettleReplay(ctx, p); err != nil {
				return err
			}
			if p.End {
				break
			}
		}
		r, err := q.Replay(ctx)
		fmt.Printf("replay %d: %d events, under way: %t\n", r.Number, r.Replayed, r.Active())
		return err
	})
	// Output:
	// again: {"user":"ann"}
	// again: {"user":"bob"}
	// replay 1: 2 events, under way: false
}

// EndReplay ends a replay before its time.
func Example_endReplay() {
	withHistory(func(ctx context.Context, q queue.Queue) error {
		r, err := q.StartReplay(ctx, queue.ReplayOrder{})
		if err != nil {
			return err
		}
		if err := q.EndReplay(ctx, r.Number); err != nil {
			return err
		}
		r, err = q.Replay(ctx)
		fmt.Printf("replay %d under way: %t\n", r.Number, r.Active())
		return err
	})
	// Output: replay 1 under way: false
}

// Erase removes a person's events from history and dead letters.
func Example_erase() {
	withHistory(func(ctx context.Context, q queue.Queue) error {
		erasure, err := q.Erase(ctx, func(event []byte) bool {
			return bytes.Contains(event, []byte(`"user":"ann"`))
		})
		fmt.Printf("%+v\n", erasure)
		return err
	})
	// Output: {History:1 Dead:0 Pending:0}
}
