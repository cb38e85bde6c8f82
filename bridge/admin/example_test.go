package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// ledger is an admin.Queue with one delivered event and one dead one.
type ledger struct{}

func (ledger) Ledger() queue.Ledger {
	return queue.Ledger{Received: 2, Accepted: 2, Delivered: 1, Dead: 1}
}

func (ledger) ReplayDead(context.Context, ...uint64) (int, error) { return 0, nil }

func (ledger) PurgeDead(context.Context, ...uint64) (int, error) { return 0, nil }

func (ledger) Dead(context.Context, uint64, int) ([]queue.DeadLetter, error) {
	return []queue.DeadLetter{{Number: 1, Reason: "no_identity", Event: []byte(`{"id":"e1"}`)}}, nil
}

// An Admin shows what a bridge does to whoever runs it.
func Example() {
	var books admin.Queue = ledger{}
	a, err := admin.New(admin.Config{
		Connectors: []admin.Connector{{
			Name:        "default",
			Queue:       books,
			Destination: func() delivery.State { return delivery.State{Name: delivery.StateOK} },
		}},
		Usage: func() queue.Usage { return queue.Usage{} },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewUnstartedServer(nil)
	server.Config = a.Server()
	server.Start()
	defer server.Close()

	get := func(path string, into any) {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			fmt.Println(err)
		}
	}
	var status admin.Status
	get("/status", &status)
	var first admin.ConnectorStatus = status.Connectors[0]
	var destination admin.Destination = first.Destination
	fmt.Println(first.Name, "delivered", first.Delivered, "dead", first.Dead, "pending", first.Pending, "destination", destination.State)

	var letters admin.Letters
	get("/api/dead", &letters)
	var letter admin.Letter = letters.Dead[0]
	fmt.Println(letter.Number, letter.Reason, string(letter.Event))

	// Output:
	// default delivered 1 dead 1 pending 0 destination ok
	// 1 no_identity {"id":"e1"}
}
