package mockrudder_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/mockrudder"
	"github.com/currentsbridge/currentsbridge/mockrudder/plan"
)

// exampleT takes the place of a *testing.T.
type exampleT struct{ cleanups []func() }

func (t *exampleT) Helper()                        {}
func (t *exampleT) Cleanup(f func())               { t.cleanups = append(t.cleanups, f) }
func (t *exampleT) Errorf(format string, a ...any) { fmt.Printf(format+"\n", a...) }
func (t *exampleT) Fatalf(format string, a ...any) { fmt.Printf(format+"\n", a...) }
func (t *exampleT) done()                          { t.cleanups[0]() }

func mustPost(client *http.Client, url, key, body string, headers ...string) (status string) {
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	request.SetBasicAuth(key, "")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		return "no answer"
	}
	defer response.Body.Close()
	return response.Status
}

// A test sends to a fake RudderStack, waits for messages, and checks their verdicts.
func ExampleStart() {
	t := &exampleT{} // in a test: its *testing.T
	defer t.done()

	rudder := mockrudder.Start(t,
		mockrudder.WithSource("app", mockrudder.HTTP),
		mockrudder.WithSource("braze", mockrudder.Braze, mockrudder.CustomMapping([]byte(`{"users.messages.email.Open":"Email Opened"}`))))
	fmt.Println(mustPost(rudder.Client(), rudder.URL+"/v1/track", "app", `{"event":"Order Placed","userId":"u-1","properties":{"total":5}}`))
	fmt.Println(mustPost(rudder.Client(), rudder.WebhookURL("braze"), "", `{"events":[{"event_type":"users.messages.email.Open","id":"e-1",`+
		`"time":1700000000,"user":{"user_id":"b-1","external_user_id":"u-1"},"properties":{"email_address":"ada@example.com"}}]}`))

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	events, err := rudder.WaitFor(ctx, mockrudder.Filter{UserID: "u-1"}, 2)
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, e := range events {
		fmt.Println(e.Source, e.Type, e.Name)
	}
	rudder.RequireValid(t)
	rudder.RequireNone(t, mockrudder.Filter{Event: "Order Cancelled"}, 10*time.Millisecond)
	// Output:
	// 200 OK
	// 200 OK
	// app track Order Placed
	// braze track Email Opened
}

// Without a port: the server is reached by its own client alone. In a bubble of
// testing/synctest the 30 seconds would pass at once.
func ExampleStartInMemory() {
	t := &exampleT{}
	defer t.done()
	rudder := mockrudder.StartInMemory(t, mockrudder.WithSource("app", mockrudder.HTTP))

	client := &http.Client{Transport: rudder.Transport(), Timeout: time.Minute}
	mustPost(client, rudder.URL+"/v1/track", "app", `{"event":"Order Placed","userId":"u-1"}`, "X-Test-ID", "orders") // so that tests can share a server

	mine := mockrudder.Filter{TestID: "orders"}
	for _, e := range rudder.RequireEvents(t, mine, 1, time.Second) {
		fmt.Println(e.ID(), e.Name, e.UserID)
	}
	rudder.RequireValid(t, mine)
	// Output: 1 Order Placed u-1
}

// Faults show how a sender handles failures of RudderStack.
func ExampleServer_Fault() {
	t := &exampleT{}
	defer t.done()
	rudder := mockrudder.Start(t)

	err := rudder.SetFaults(
		mockrudder.Fault{Path: "/v1/batch", Status: http.StatusServiceUnavailable, RetryAfter: 1, Requests: 1},
		mockrudder.Fault{Path: "/v1/batch", Close: mockrudder.Stored, Requests: 1},
	)
	if err != nil {
		t.Fatalf("%v", err)
	}
	for range 3 {
		fmt.Println(mustPost(rudder.Client(), rudder.URL+"/v1/batch", "wkHTTP", `{"batch":[{"type":"track","event":"E","userId":"u","messageId":"m"}]}`))
	}
	for _, fault := range rudder.Faults() {
		fmt.Println("hits:", fault.Hits)
	}
	fmt.Println(rudder.Count(mockrudder.Filter{MessageID: "m"}), "copies: the answer to the first was lost")
	rudder.ResetMessages()
	fmt.Println(len(rudder.Events(mockrudder.Filter{})), "messages and", len(rudder.Faults()), "faults left")
	// Output:
	// 503 Service Unavailable
	// no answer
	// 200 OK
	// hits: 1
	// hits: 1
	// 2 copies: the answer to the first was lost
	// 0 messages and 2 faults left
}

// A server is an http.Handler. This one only passes each message to a function.
func ExampleNew() {
	sink, err := mockrudder.New(
		mockrudder.WithSource("key", mockrudder.HTTP),
		mockrudder.WithoutValidation(),
		mockrudder.WithKeep(1000),
		mockrudder.WithObserver(func(e mockrudder.Event) { fmt.Println("stored", e.MessageID, e.Raw) }),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sink.Close()
	request := httptest.NewRequest(http.MethodPost, "/v1/batch", strings.NewReader(`{"batch":[{"userId":"u","messageId":"m-1"}]}`))
	request.SetBasicAuth("key", "")
	sink.ServeHTTP(httptest.NewRecorder(), request)
	fmt.Println(sink.Stats().Stored, "stored")
	// Output:
	// stored m-1 {"userId":"u","messageId":"m-1"}
	// 1 stored
}

// A tracking plan finds messages that a destination does not expect.
func ExampleWithPlan() {
	t := &exampleT{}
	defer t.done()
	orders, err := plan.New(map[string]json.RawMessage{
		"Order Placed": []byte(`{"required":["total"],"properties":{"total":{"type":"number"}}}`),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var recorded strings.Builder
	rudder := mockrudder.Start(t,
		mockrudder.WithPlan(orders),
		mockrudder.WithRecording(&recorded),
	)
	for _, message := range []string{
		`{"event":"Order Placed","userId":"u-1","messageId":"m-1","properties":{"total":"5"}}`,
		`{"event":"Order Placed","userId":"u-1","messageId":"m-2","properties":{"total":5}}`,
	} {
		fmt.Println(mustPost(rudder.Client(), rudder.URL+"/v1/track", "wkHTTP", message))
	}
	fmt.Println(strings.Count(recorded.String(), "\n"), "recorded,", rudder.RecordingError())
	rudder.RequireValid(t)
	// Output:
	// 200 OK
	// 200 OK
	// 2 recorded, <nil>
	// mockrudder: track "Order Placed", messageId m-1: plan /properties/total: type: expected number, got string "5"
	// mockrudder: 1 invalid messages, of which 1 are shown above
}
