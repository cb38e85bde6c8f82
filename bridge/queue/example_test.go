package queue_test

import (
	"fmt"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// Pending is what is left of the accepted events.
func ExampleLedger_Pending() {
	l := queue.Ledger{Received: 100, Duplicates: 10, Accepted: 90, Filtered: 5, Delivered: 60, Dead: 3, Purged: 2}
	fmt.Println(l.Pending())
	// Output: 20
}

// A batch holds the request's body and where its events are in it. What is
// known to be undeliverable at once says so.
func ExampleBatch() {
	body := []byte(`{"events":[{"id":"a"},5]}`)
	batch := queue.Batch{Body: body, Items: []queue.Item{
		{Start: 11, End: 21, ID: queue.HashEvent(nil, []byte("a"))},
		{Start: 22, End: 23, Fate: queue.Dead, Reason: "not_an_object"},
	}}
	for _, item := range batch.Items {
		fmt.Printf("%s known by its id: %t, dead: %t\n",
			batch.Body[item.Start:item.End], item.ID != queue.Hash{}, item.Fate == queue.Dead)
	}
	// Output:
	// {"id":"a"} known by its id: true, dead: false
	// 5 known by its id: false, dead: true
}

// A replay is active until it has ended.
func ExampleReplay_Active() {
	var none queue.Replay
	r := queue.Replay{Number: 1, StartedAt: time.Now()}
	fmt.Println(none.Active(), r.Active())
	r.EndedAt = time.Now()
	fmt.Println(r.Active())
	// Output:
	// false true
	// false
}
