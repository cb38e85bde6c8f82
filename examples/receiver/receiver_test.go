package receiver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/currentsbridge/currentsbridge/examples/receiver"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// start runs the receiver between the two fakes. Nothing needs a port.
func start(t *testing.T, types ...string) (*mockbraze.Connector, *mockrudder.Server, http.Handler) {
	rudder := mockrudder.StartInMemory(t, mockrudder.WithSource("wk", mockrudder.HTTP))
	service := &receiver.Receiver{Token: "s3cret", RudderURL: rudder.URL, WriteKey: "wk", Client: rudder.Client()}
	braze := mockbraze.Start(t, mockbraze.WithSeed(7), mockbraze.WithHandler(service))
	current := braze.Launch(mockbraze.Current{URL: "http://receiver.test/currents", Token: "s3cret", Events: types})
	return current, rudder, service
}

// post sends a body with the right token and returns the status.
func post(service http.Handler, body string) int {
	req := httptest.NewRequest(http.MethodPost, "/currents", strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer s3cret")
	answer := httptest.NewRecorder()
	service.ServeHTTP(answer, req)
	return answer.Code
}

func TestEventsArrive(t *testing.T) {
	current, rudder, _ := start(t, "users.messages.email.*")
	if err := current.Send(t.Context(), 200); err != nil {
		t.Fatal(err)
	}
	if _, err := rudder.WaitFor(t.Context(), mockrudder.Filter{Source: "wk"}, 200); err != nil {
		t.Fatal(err)
	}
	rudder.RequireValid(t)
}

// RudderStack is away for ten minutes, which take no time in a bubble. Braze
// retries, and every event arrives.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		current, rudder, _ := start(t, "users.messages.email.Open")
		if err := rudder.Fault(mockrudder.Fault{ID: "outage", Status: http.StatusServiceUnavailable}); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(10*time.Minute, func() { rudder.RemoveFault("outage") })
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		if err := current.Send(ctx, 300); err != nil {
			t.Fatal(err)
		}
		if n := rudder.Count(mockrudder.Filter{Source: "wk"}); n != 300 {
			t.Fatalf("%d of 300 events arrived", n)
		}
	})
}

// What is no batch gets 400, which Braze does not retry as it is.
func TestInvalidPayload(t *testing.T) {
	_, rudder, service := start(t)
	for name, body := range map[string]string{"no JSON": "hello", "cut off": `{"events":[{"id":"1"`, "a list": "[]"} {
		if code := post(service, body); code != http.StatusBadRequest {
			t.Errorf("%s: answered %d", name, code)
		}
	}
	rudder.RequireNone(t, mockrudder.Filter{}, 0)
}

// The answer to a batch is lost after everything was stored: Braze sends it
// again, and the receiver posts nothing twice.
func TestDuplicates(t *testing.T) {
	_, rudder, service := start(t)
	const body = `{"events":[{"id":"e1","event_type":"users.messages.email.Open","user":{"external_user_id":"u1"},"properties":{}}]}`
	for range 2 {
		if code := post(service, body); code != http.StatusOK {
			t.Fatalf("answered %d", code)
		}
	}
	if n := rudder.Count(mockrudder.Filter{MessageID: "e1"}); n != 1 {
		t.Fatalf("the event arrived %d times", n)
	}
}
