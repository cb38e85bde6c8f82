package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

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

func (ledger) Pending(context.Context, uint64, int) ([]*queue.Record, error) { return nil, nil }

func (ledger) Summary(context.Context, queue.LetterFilter) ([]queue.LetterGroup, error) {
	return []queue.LetterGroup{{Reason: "refused", Events: 1, Letters: 1, First: 1, Last: 1}}, nil
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
func (sender) Resume()               { fmt.Println("tried again") }

// An Admin shows an operator what a bridge does.
func Example() {
	a, err := admin.New(admin.Config{Bridge: idle{}, Token: "operator"})
	if err != nil {
		fmt.Println(err)
		return
	}
	var books admin.Queue = ledger{}
	a.Show([]admin.Connector{{Name: "default", Queue: books, Sender: sender{}}})
	a.SetToken("") // nothing needs a token any more, so that foreign names are refused
	if err := a.SetHosts([]string{"bridge.example.com"}); err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewUnstartedServer(nil)
	server.Config = a.Server()
	server.Start()
	defer server.Close()

	ask := asker(server.URL)
	var status admin.Status
	ask("GET", "/status", &status)
	var first = status.Connectors[0]
	var destination = first.Destination
	fmt.Println(first.Name, "delivered", first.Delivered, "dead", first.Dead, "pending", first.Pending, "destination", destination.State)

	repair(ask)
	forget(ask)

	a.Stopping() // once intake is about to close
	var ready struct{ Ready bool }
	ask("GET", "/readyz", &ready)
	fmt.Println("ready", ready.Ready)

	// Output:
	// default delivered 1 dead 1 pending 0 destination ok
	// 1 no_identity {"id":"e1"}
	// purged 1 of default
	// tried again
	// resumed [default]
	// replay 1 delivered 3 again
	// forgotten 2 in history and 1 dead letters
	// drift 0
	// ready false
}

// asker asks the admin side at a URL, and reads its JSON.
func asker(url string) func(method, path string, into any) {
	return func(method, path string, into any) {
		req, err := http.NewRequest(method, url+path, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			fmt.Println(err)
		}
	}
}

func repair(ask func(method, path string, into any)) {
	var letters admin.Letters
	ask("GET", "/api/dead", &letters)
	var letter = letters.Dead[0]
	fmt.Println(letter.Number, letter.Reason, string(letter.Event))

	var moved admin.Moved
	ask("POST", "/api/dead/purge?reason=no_identity", &moved)
	var each = moved.Connectors[0]
	fmt.Println("purged", moved.Moved, "of", each.Connector)

	var resumed admin.Resumed
	ask("POST", "/api/resume", &resumed)
	fmt.Println("resumed", resumed.Resumed)

	var replays admin.Replays
	ask("GET", "/api/replay", &replays)
	var replay = replays.Replays[0]
	fmt.Println("replay", replay.Number, "delivered", replay.Replayed, "again")
}

func forget(ask func(method, path string, into any)) {
	var forgotten admin.Forgotten
	ask("POST", "/api/forget?user=jo", &forgotten)
	var part = forgotten.Connectors[0]
	fmt.Println("forgotten", part.History, "in history and", part.Dead, "dead letters")

	var drifting admin.Drift
	ask("GET", "/api/drift", &drifting)
	fmt.Println("drift", len(drifting.Drift))
}
