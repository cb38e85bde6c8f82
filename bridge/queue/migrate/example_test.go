package migrate_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/migrate"
	"github.com/currentsbridge/currentsbridge/bridge/queue/pebble"
)

// The stores may be of any kind: here both are directories.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "migrate-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	from, err := pebble.Open(filepath.Join(dir, "from"), pebble.Options{})
	if err != nil {
		panic(err)
	}
	defer from.Close()
	to, err := pebble.Open(filepath.Join(dir, "to"), pebble.Options{})
	if err != nil {
		panic(err)
	}
	defer to.Close()
	q, err := from.Open(ctx, "brand-a", queue.DefaultWindow)
	if err != nil {
		panic(err)
	}
	event := `{"id":"1","event_type":"users.messages.email.Open","user":{"user_id":"u"}}`
	item := queue.Item{Start: 0, End: len(event), ID: queue.HashID([]byte("1"))}
	if _, err := q.Append(ctx, queue.Batch{Body: []byte(event), Items: []queue.Item{item}}); err != nil {
		panic(err)
	}

	opts := migrate.Options{Moved: func(n int) { fmt.Println("moved", n) }}
	waiting, err := migrate.Waiting(ctx, from, opts)
	if err != nil {
		panic(err)
	}
	fmt.Println("waiting", waiting, "and at most", migrate.Step, "of them at a time")
	report, err := migrate.Run(ctx, from, to, opts)
	if err != nil {
		panic(err)
	}
	for _, c := range report.Connectors {
		fmt.Println(c.Name, "pending", c.Pending, "dead", c.Dead, "left", c.Left())
	}
	fmt.Println("left", report.Left(), "in the source", q.Ledger().Pending())
	// Output:
	// waiting 1 and at most 2000 of them at a time
	// moved 1
	// brand-a pending 1 dead 0 left 0
	// left 0 in the source 0
}
