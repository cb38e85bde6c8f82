package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// ledger is an admin.Queue with one delivered event and one dead one. What this
// example does not ask for is left out.
type ledger struct{ admin.Queue }

func (ledger) Ledger() queue.Ledger {
	return queue.Ledger{Received: 2, Accepted: 2, Delivered: 1, Dead: 1}
}

func (ledger) PurgeDead(context.Context, ...uint64) (int, error) { return 1, nil }

func (ledger) Letters(_ context.Context, f queue.LetterFilter) ([]queue.DeadLetter, error) {
	if f.After > 0 {
		return nil, nil
	}
	return []queue.DeadLetter{{Number: 1, Reason: "no_identity", Events: 1, Event: []byte(`{"id":"e1"}`)}}, nil
}

func (ledger) Summary(context.Context, queue.LetterFilter) ([]queue.LetterGroup, error) {
	return []queue.LetterGroup{{Reason: "no_identity", Events: 1, Letters: 1, First: 1, Last: 1}}, nil
}

func (ledger) Replay(context.Context) (queue.Replay, error) {
	return queue.Replay{Number: 1, Replayed: 3}, nil
}

func (ledger) Erase(context.Context, func([]byte) bool) (queue.Erasure, error) {
	return queue.Erasure{History: 2, Dead: 1}, nil
}

// idle is an admin.Bridge with nothing in it, and a sender.
type idle struct{ admin.Bridge }

func (idle) Usage() queue.Usage    { return queue.Usage{} }
func (idle) Unknown() []drift.Item { return nil }

type sender struct{ admin.Sender }

func (sender) State() delivery.State { return delivery.State{Name: delivery.StateOK} }
func (sender) Resume()               {}

// ask sends a request such as GET /status to a server and reads its JSON.
func ask[T any](server *httptest.Server, line string) (answer T) {
	method, path, _ := strings.Cut(line, " ")
	req, err := http.NewRequest(method, server.URL+path, nil)
	if err != nil {
		panic(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		panic(err)
	}
	return answer
}

// An Admin shows an operator what a bridge does.
func Example() {
	a := admin.New(admin.Config{Bridge: idle{}})
	a.Show([]admin.Connector{{Name: "default", Queue: ledger{}, Sender: sender{}}})
	a.SetToken("") // nothing needs a token, so that foreign names are refused
	fmt.Println(a.SetHosts([]string{"bridge.example.com"}))
	server := httptest.NewUnstartedServer(nil)
	server.Config = a.Server()
	server.Start()
	defer server.Close()

	status := ask[admin.Status](server, "GET /status").Connectors[0]
	fmt.Println(status.Name, "delivered", status.Delivered, "dead", status.Dead, "pending", status.Pending, "destination", status.Destination.State)
	letter := ask[admin.Letters](server, "GET /api/dead").Dead[0]
	fmt.Println(letter.Number, letter.Reason, string(letter.Event))
	moved := ask[admin.Moved](server, "POST /api/dead/purge?reason=no_identity").Connectors[0]
	fmt.Println("purged", moved.Moved, "of", moved.Connector)
	fmt.Println("resumed", ask[admin.Resumed](server, "POST /api/resume").Resumed)
	replay := ask[admin.Replays](server, "GET /api/replay").Replays[0]
	fmt.Println("replay", replay.Number, "delivered", replay.Replayed, "again")
	forgotten := ask[admin.Forgotten](server, "POST /api/forget?user=jo").Connectors[0]
	fmt.Println("forgotten", forgotten.History, "in history and", forgotten.Dead, "dead letters")
	fmt.Println("drift", len(ask[admin.Drift](server, "GET /api/drift").Drift))
	a.Stopping() // once intake is about to close
	fmt.Println("ready", ask[struct{ Ready bool }](server, "GET /readyz").Ready)

	// Output:
	// <nil>
	// default delivered 1 dead 1 pending 0 destination ok
	// 1 no_identity {"id":"e1"}
	// purged 1 of default
	// resumed [default]
	// replay 1 delivered 3 again
	// forgotten 2 in history and 1 dead letters
	// drift 0
	// ready false
}
