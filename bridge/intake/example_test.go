package intake_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/currentsbridge/currentsbridge/bridge/intake"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// printer is an intake.Appender that prints what it should keep.
type printer struct{}

func (printer) Append(_ context.Context, b queue.Batch) (queue.Receipt, error) {
	receipt := queue.Receipt{Accepted: len(b.Items)}
	for _, item := range b.Items {
		fmt.Printf("store %s", b.Body[item.Start:item.End])
		if item.Fate == queue.Dead {
			receipt.Dead++
			fmt.Printf(" as dead: %s", item.Reason)
		}
		fmt.Println()
	}
	return receipt, nil
}

// An Intake takes what Braze posts. It may be served by any HTTP server; the
// one that Server returns holds against slow clients.
func Example() {
	var store intake.Appender = printer{}
	in, err := intake.New(intake.Config{Connectors: []intake.Connector{
		{Name: "brand-a", Tokens: []string{"secret-a"}, Queue: store, MissingExternalUserID: intake.Deliver},
		{Name: "brand-b", Tokens: []string{"secret-b"}, Queue: store, MissingExternalUserID: intake.Dead},
		{Name: "brand-c", Tokens: []string{"secret-c"}, Queue: store, MissingExternalUserID: intake.Drop, NoIdentity: intake.Drop, WrongToken: http.StatusServiceUnavailable},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewUnstartedServer(nil)
	server.Config = in.Server()
	server.Start()
	defer server.Close()

	post := func(path, token string) {
		body := `{"events":[{"id":"1","event_type":"users.messages.email.Open","user":{"user_id":"u"}}]}`
		req, _ := http.NewRequest(http.MethodPost, server.URL+path, strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer resp.Body.Close()
		fmt.Println(resp.Status)
	}
	post("/currents", "secret-a")
	post("/currents/brand-b", "secret-b")
	post("/currents/brand-b", "wrong")
	fmt.Println("the reason is always", intake.ReasonNoExternalUserID)

	// Output:
	// store {"id":"1","event_type":"users.messages.email.Open","user":{"user_id":"u"}}
	// 200 OK
	// store {"id":"1","event_type":"users.messages.email.Open","user":{"user_id":"u"}} as dead: no_external_user_id
	// 200 OK
	// 401 Unauthorized
	// the reason is always no_external_user_id
}

// Reload changes connectors and tokens while requests come in: here a token is
// rotated, first beside the old one, then without it.
func ExampleIntake_Reload() {
	connector := intake.Connector{Name: "brand-a", Tokens: []string{"old"}, Queue: printer{}}
	in, err := intake.New(intake.Config{Connectors: []intake.Connector{connector}})
	if err != nil {
		fmt.Println(err)
		return
	}
	probe := func(token string) int {
		w := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodPost, "/currents", strings.NewReader(`{"events":[]}`))
		req.Header.Set("Authorization", "Bearer "+token)
		in.ServeHTTP(w, req)
		return w.Code
	}
	for _, tokens := range [][]string{{"old"}, {"old", "new"}, {"new"}} {
		connector.Tokens = tokens
		if err := in.Reload([]intake.Connector{connector}); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(tokens, probe("old"), probe("new"))
	}
	for _, use := range in.Tokens() {
		fmt.Println("token", use.Position, "of", use.Connector, "was used", use.Requests, "times")
	}

	// Output:
	// [old] 200 401
	// [old new] 200 200
	// [new] 401 200
	// token 1 of brand-a was used 2 times
}

// Listen bounds the connections and serves TLS, if it is given certificates, which
// are read again when they are renewed under the same name.
func ExampleListen() {
	in, err := intake.New(intake.Config{Connectors: []intake.Connector{{Name: "brand-a", Queue: printer{}}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	var certs *intake.Certificates // nil: without TLS
	if certs, err = intake.NewCertificates("/etc/bridge/missing.crt", "/etc/bridge/missing.key", slog.Default()); err != nil {
		fmt.Println(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := in.Server()
	go func() { _ = server.Serve(intake.Listen(ln, 100, certs)) }()
	defer server.Close()

	resp, err := http.Post("http://"+ln.Addr().String()+"/currents", "application/json", strings.NewReader(`{"events":[]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)

	// Output:
	// read the certificate: open /etc/bridge/missing.crt: no such file or directory
	// 200 OK
}
