package mockrudder_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// An answer can be spoiled after all was stored: the sender sees a failure of
// what has succeeded, and its next try is a duplicate.
func ExampleServer_RemoveFault() {
	t := &exampleT{}
	defer t.done()
	rudder := mockrudder.StartInMemory(t)
	for _, fault := range []mockrudder.Fault{
		{ID: "cut", Close: mockrudder.Middle, Nth: 1},
		{ID: "proxy", WrongBody: mockrudder.HTMLPage, Status: http.StatusBadGateway, Nth: 2},
		{ID: "slow", Trickle: mockrudder.Duration(10 * time.Millisecond), TestID: "mine"},
	} {
		if err := rudder.Fault(fault); err != nil {
			t.Fatalf("%v", err)
		}
	}
	client := &http.Client{Transport: rudder.Transport()}
	for range 3 {
		request, err := http.NewRequest(http.MethodPost, rudder.URL+"/v1/batch", strings.NewReader(`{"batch":[{"userId":"u","messageId":"m"}]}`))
		if err != nil {
			t.Fatalf("%v", err)
		}
		request.SetBasicAuth("wkHTTP", "")
		answer, err := client.Do(request)
		if err != nil {
			t.Fatalf("%v", err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		fmt.Println(answer.Status, answer.Header.Get("Content-Type"), len(body), err)
	}
	fmt.Println(len(rudder.Events(mockrudder.Filter{MessageID: "m"})), "stored")
	fmt.Println(rudder.RemoveFault("slow"), rudder.RemoveFault("slow"))
	rudder.ResetMessages()
	fmt.Println(len(rudder.Faults()), "faults left,", rudder.Count(mockrudder.Filter{}), "messages")
	// Output:
	// 200 OK text/plain; charset=utf-8 1 unexpected EOF
	// 502 Bad Gateway text/html 150 <nil>
	// 200 OK text/plain; charset=utf-8 2 <nil>
	// 2 stored
	// true false
	// 2 faults left, 0 messages
}

// What the limits of a fault cannot say is decided by code: here a firewall
// refuses what a user with a certain id did.
func ExampleServer_Control() {
	t := &exampleT{}
	defer t.done()
	rudder := mockrudder.StartInMemory(t, mockrudder.WithRateLimit(1000), mockrudder.WithRateWindow(time.Minute))
	remove := rudder.Control(func(r *http.Request, body string) (fault mockrudder.Fault, hit bool) {
		return mockrudder.Fault{Status: http.StatusForbidden}, strings.Contains(body, `"userId":"7"`)
	})
	send := func(user string) {
		request, err := http.NewRequest(http.MethodPost, rudder.URL+"/v1/track", strings.NewReader(`{"userId":"`+user+`"}`))
		if err != nil {
			t.Fatalf("%v", err)
		}
		request.SetBasicAuth("wkHTTP", "")
		answer, err := rudder.Client().Do(request)
		if err != nil {
			fmt.Println("no answer")
			return
		}
		answer.Body.Close()
		fmt.Println(answer.Status)
	}
	send("6")
	send("7")
	remove()
	send("7")
	faults, err := mockrudder.ParseFaults([]byte(`[{"close":"reset","contains":"9"},{"database":"down"}]`))
	if err != nil {
		t.Fatalf("%v", err)
	}
	if err := rudder.SetFaults(faults...); err != nil {
		t.Fatalf("%v", err)
	}
	send("9")
	send("8")
	// Output:
	// 200 OK
	// 403 Forbidden
	// 200 OK
	// no answer
	// 500 Internal Server Error
}
