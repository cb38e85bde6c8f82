package pebble_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/pebble"
)

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "queue")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	if err := use(dir); err != nil {
		fmt.Println(err)
	}
	// Output:
	// stored {Accepted:1 Duplicates:1 Filtered:0 Dead:0}
	// sending {"id":"e1"}
	// pending 0, delivered 1
}

func use(dir string) error {
	ctx := context.Background()
	var store queue.Store
	store, err := pebble.Open(dir, pebble.Options{RetainAge: 72 * time.Hour, RetainBytes: 20 << 30})
	if err != nil {
		return err
	}
	defer store.Close()
	q, err := store.Open(ctx, "default", queue.DefaultWindow)
	if err != nil {
		return err
	}

	body := []byte(`{"events":[{"id":"e1"},{"id":"e1"}]}`)
	id := queue.HashID([]byte("e1"))
	receipt, err := q.Append(ctx, queue.Batch{
		Body:       body,
		Items:      []queue.Item{{Start: 11, End: 22, ID: id}, {Start: 23, End: 34, ID: id}},
		ReceivedAt: time.Now(),
	})
	if err != nil {
		return err
	}
	fmt.Printf("stored %+v\n", receipt)

	records, err := q.Fetch(ctx, queue.Limit{Events: 500, Bytes: 2 << 20})
	if err != nil {
		return err
	}
	defer q.Release(records...)
	for _, r := range records {
		for _, e := range r.Events {
			fmt.Printf("sending %s\n", e.Raw)
		}
		last := r.Events[len(r.Events)-1].Index
		if err := q.Settle(ctx, queue.Settlement{Delivered: []queue.Span{{Seq: r.Seq, First: 0, Last: last}}}); err != nil {
			return err
		}
	}
	l := q.Ledger()
	fmt.Printf("pending %d, delivered %d\n", l.Pending(), l.Delivered)
	return nil
}

func ExampleRepair() {
	dir, err := os.MkdirTemp("", "queue")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	if err := use(dir); err != nil {
		fmt.Println(err)
		return
	}
	report, err := pebble.Repair(context.Background(), dir, pebble.RepairOptions{
		Progress: func(p pebble.RepairProgress) { fmt.Fprintln(os.Stderr, p.Done, "of", p.Total) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, d := range report.Damages {
		fmt.Println(d)
	}
	for _, c := range report.Connectors {
		fmt.Printf("connector %s: %d events lost (%s)\n", c.Name, c.Lost, pebble.ReasonDamaged)
	}
	fmt.Println("whole:", report.Whole)
	// Output:
	// stored {Accepted:1 Duplicates:1 Filtered:0 Dead:0}
	// sending {"id":"e1"}
	// pending 0, delivered 1
	// connector default: 0 events lost (damaged)
	// whole: true
}
