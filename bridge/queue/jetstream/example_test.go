package jetstream_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/jetstream"
)

// serve starts a NATS server; in earnest it is a cluster of three.
func serve() (url string, stop func()) {
	dir, err := os.MkdirTemp("", "nats")
	if err != nil {
		log.Fatal(err)
	}
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true, ServerName: "example",
	})
	if err != nil {
		log.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(time.Minute) {
		log.Fatal("the server does not start")
	}
	return srv.ClientURL(), func() {
		srv.Shutdown()
		srv.WaitForShutdown()
		_ = os.RemoveAll(dir)
	}
}

// Two bridges share one queue: what one has taken in, the other delivers.
func Example() {
	url, stop := serve()
	defer stop()
	ctx := context.Background()
	var queues []queue.Queue
	for range 2 {
		store, err := jetstream.Open(ctx, jetstream.Options{URL: url, RetainAge: 24 * time.Hour})
		if err != nil {
			log.Fatal(err)
		}
		defer store.Close()
		q, err := store.Open(ctx, "shop", queue.DefaultWindow)
		if err != nil {
			log.Fatal(err)
		}
		queues = append(queues, q)
	}

	body := []byte(`{"id":"1"}`)
	receipt, err := queues[0].Append(ctx, queue.Batch{
		Body: body, Items: []queue.Item{{End: len(body), ID: queue.HashID([]byte("1"))}},
	})
	fmt.Printf("%+v %v\n", receipt, err)

	records, err := queues[1].Fetch(ctx, queue.Limit{Events: 100, Bytes: 1 << 20})
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range records {
		fmt.Printf("%s\n", r.Events[0].Raw)
		err := queues[1].Settle(ctx, queue.Settlement{Delivered: []queue.Span{{Seq: r.Seq, First: 0, Last: 0}}})
		fmt.Println(err)
	}
	queues[1].Release(records...)
	ledger := queues[1].Ledger()
	fmt.Println(ledger.Received, ledger.Delivered, ledger.Pending())
	// Output:
	// {Accepted:1 Duplicates:0 Filtered:0 Dead:0} <nil>
	// {"id":"1"}
	// <nil>
	// 1 1 0
}

func ExampleInspect() {
	url, stop := serve()
	defer stop()
	seen, err := jetstream.Inspect(context.Background(), jetstream.Options{URL: url})
	if err != nil {
		log.Fatal(err)
	}
	if seen.Replicas == 1 && seen.Nodes == 0 { // no cluster
		fmt.Printf("%s keeps everything once; a message may have %d bytes\n", seen.Name, seen.MaxPayload)
	}
	_, err = jetstream.Inspect(context.Background(), jetstream.Options{URL: "nats://127.0.0.1:1"})
	fmt.Println(err)
	// Output:
	// example keeps everything once; a message may have 1048576 bytes
	// url: no NATS server answers there: check host, port and network: nats: no servers available for connection
}
